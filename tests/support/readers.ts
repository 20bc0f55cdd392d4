import type { Gap, WireEvent } from "../../lib/shared/event.ts";
import { LocalServer } from "./local_server.ts";
import { SocketClient, type SocketMessage } from "./socket_client.ts";
import { SseClient } from "./sse_client.ts";
import { WebTransportClient } from "./webtransport_client.ts";

/** An item of a reader, the same on every transport. */
export interface Item {
  /** The cursor after it. */
  readonly cursor: string;
  readonly event?: WireEvent;
  readonly gap?: Gap & { readonly channel: string };
}

/** A subscription over one transport. */
export interface Reader extends AsyncDisposable {
  /** The cursor after the last item taken, or at the start of the subscription. */
  readonly cursor: string;
  next(): Promise<Item>;
}

export type OpenReader = (
  url: string,
  channels: readonly string[],
  after?: string,
) => Promise<Reader>;

/** Every transport. An open reader is subscribed: it reads everything published after that. */
export const READERS: Readonly<Record<string, OpenReader>> = {
  "SSE": readSse,
  "WebSocket": readSocket,
  "WebTransport": readWebTransport,
  "long poll": (url, channels, after) => readPolls(url, channels, after, 30),
  "short poll": (url, channels, after) => readPolls(url, channels, after, 0),
};

/** Reads the next `count` events. @throws {Error} at a gap. */
export async function takeEvents(reader: Reader, count: number): Promise<readonly WireEvent[]> {
  const events: WireEvent[] = [];
  while (events.length < count) {
    const { event, gap } = await reader.next();
    if (event === undefined) throw new Error(`a gap: ${JSON.stringify(gap)}`);
    events.push(event);
  }
  return events;
}

/** Returns the URL that reads `channels`. */
export function readUrl(
  url: string,
  channels: readonly string[],
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const [only] = channels;
  const params = new URLSearchParams();
  if (channels.length > 1) { for (const channel of channels) params.append("channel", channel); }
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) params.set(name, value);
  }
  const path = channels.length === 1
    ? `/v1/channels/${encodeURIComponent(only ?? "")}/events`
    : "/v1/events";
  return `${url}${path}?${params}`;
}

async function readSse(url: string, channels: readonly string[], after?: string): Promise<Reader> {
  const client = await SseClient.open(readUrl(url, channels, { envelope: "1", after }));
  let cursor = client.firstId;
  return {
    get cursor() {
      return cursor;
    },
    async next() {
      const { id, event, data } = await client.next();
      if (id === undefined) throw new Error(`an event without an id: ${event} ${data}`);
      cursor = id;
      return event === "weir.gap"
        ? { cursor, gap: JSON.parse(data) }
        : { cursor, event: JSON.parse(data) };
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function readSocket(
  url: string,
  channels: readonly string[],
  after?: string,
): Promise<Reader> {
  const client = await SocketClient.open(url);
  const [channel] = channels;
  const what = channels.length === 1 ? { channel } : { channels };
  client.send({ op: "subscribe", ref: 1, ...what, ...after !== undefined && { after } });
  const subscribed = await client.until("subscribed");
  let cursor = String(subscribed["cursor"] ?? subscribed["offset"]);
  return {
    get cursor() {
      return cursor;
    },
    async next() {
      const message = await client.next();
      cursor = String(message["cursor"] ?? message["offset"]);
      return itemOf(message, cursor);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function readWebTransport(
  url: string,
  channels: readonly string[],
  after?: string,
): Promise<Reader> {
  await LocalServer.at(url)?.serveWebTransport();
  const client = await WebTransportClient.openOffered(url);
  const [channel] = channels;
  const what = channels.length === 1 ? { channel } : { channels };
  await client.send({ op: "subscribe", ref: 1, ...what, ...after !== undefined && { after } });
  const [subscribed] = await client.next("subscribed");
  let cursor = String(subscribed["cursor"] ?? subscribed["offset"]);
  return {
    get cursor() {
      return cursor;
    },
    async next() {
      const [message] = await client.next("event", "gap");
      cursor = String(message["cursor"] ?? message["offset"]);
      return itemOf(message, cursor);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function itemOf({ op, ...members }: SocketMessage, cursor: string): Item {
  if (op === "event") return { cursor, event: members as unknown as WireEvent };
  if (op === "gap") {
    const { cursor: _, ...gap } = members;
    return { cursor, gap: gap as unknown as NonNullable<Item["gap"]> };
  }
  throw new Error(`neither event nor gap: ${op} ${JSON.stringify(members)}`);
}

interface Answer {
  readonly events: readonly WireEvent[];
  readonly cursor: string;
  readonly gap?: NonNullable<Item["gap"]>;
}

/** Polls for one event at a time, because all events of a page share its cursor. */
async function readPolls(
  url: string,
  channels: readonly string[],
  after: string | undefined,
  wait: number,
): Promise<Reader> {
  let cursor = after === undefined || after === "latest" ? await headCursor(url, channels) : after;
  const items: Item[] = [];
  const abort = new AbortController();
  return {
    get cursor() {
      return cursor;
    },
    async next() {
      while (items.length === 0) {
        const response = await fetch(
          readUrl(url, channels, { after: cursor, limit: "1", wait: String(wait) }),
          { signal: abort.signal },
        );
        const text = await response.text();
        if (response.status === 204) {
          cursor = response.headers.get("weir-cursor") ?? "";
          continue;
        }
        if (response.status !== 200) throw new Error(`${response.status} ${text}`);
        const answer: Answer = JSON.parse(text);
        if (answer.gap !== undefined) items.push({ cursor: answer.cursor, gap: answer.gap });
        for (const event of answer.events) items.push({ cursor: answer.cursor, event });
        if (items.length === 0) cursor = answer.cursor;
      }
      const item = items.shift();
      if (item === undefined) throw new Error("there is one");
      cursor = item.cursor;
      return item;
    },
    [Symbol.asyncDispose]: () => {
      abort.abort();
      return Promise.resolve();
    },
  };
}

async function headCursor(url: string, channels: readonly string[]): Promise<string> {
  const response = await fetch(readUrl(url, channels, { after: "latest" }));
  await response.body?.cancel();
  return response.headers.get("weir-cursor") ?? "";
}

/** Reads all stored events of a channel, page by page. */
export async function readAll(
  url: string,
  channel: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly WireEvent[]> {
  const events: WireEvent[] = [];
  for (let after = "earliest";;) {
    const response = await fetch(readUrl(url, [channel], { after, limit: "1000" }), { headers });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const page: Answer & { readonly upToDate: boolean } = await response.json();
    events.push(...page.events);
    if (page.upToDate) return events;
    after = page.cursor;
  }
}
