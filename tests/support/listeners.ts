import type { WireEvent } from "../../lib/shared/event.ts";
import { LocalServer } from "./local_server.ts";
import { readUrl } from "./readers.ts";
import { SocketClient } from "./socket_client.ts";
import { SseClient } from "./sse_client.ts";
import { WebTransportClient } from "./webtransport_client.ts";

/** An ephemeral event as clients receive it. */
export interface WireEphemeral {
  readonly channel: string;
  readonly type: string;
  readonly time: string;
  readonly contentType: string;
  readonly data: unknown;
  readonly publisher?: string;
  readonly traceparent?: string;
}

/** The next event of a listener. */
export type ReceivedEvent =
  | { readonly kind: "event"; readonly event: WireEvent }
  | { readonly kind: "ephemeral"; readonly event: WireEphemeral };

/** A subscription over one transport, ephemeral events included. */
export interface Listener extends AsyncDisposable {
  /** The cursor with which a client would reconnect now. */
  readonly cursor: string;
  next(): Promise<ReceivedEvent>;
}

export type OpenListener = (
  url: string,
  channels: readonly string[],
  headers?: Readonly<Record<string, string>>,
) => Promise<Listener>;

/** The transports that deliver ephemeral events. */
export const LISTENERS: Readonly<Record<string, OpenListener>> = {
  "SSE": listenBySse,
  "WebSocket": listenBySocket,
  "WebTransport": listenByWebTransport,
  "long poll": listenByPolls,
};

/** Returns the next ephemeral event. @throws {Error} if the next event is a stored one. */
export async function nextEphemeral(listener: Listener): Promise<WireEphemeral> {
  const { kind, event } = await listener.next();
  if (kind !== "ephemeral") throw new Error(`a stored event: ${JSON.stringify(event)}`);
  return event;
}

async function listenBySse(
  url: string,
  channels: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Listener> {
  const client = await SseClient.open(readUrl(url, channels, { envelope: "1" }), { ...headers });
  let cursor = client.firstId;
  return {
    get cursor() {
      return cursor;
    },
    async next() {
      const { id, event: type, data } = await client.next();
      if (type?.startsWith("weir.")) throw new Error(`${type} ${data}`);
      if (id !== undefined) cursor = id;
      const { ephemeral, ...event } = JSON.parse(data);
      if (event.type !== (type ?? "message")) throw new Error(`${type} is not ${event.type}`);
      if ((ephemeral === true) !== (id === undefined)) throw new Error(`id ${id} with ${data}`);
      return { kind: ephemeral === true ? "ephemeral" : "event", event };
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function listenBySocket(
  url: string,
  channels: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Listener> {
  const token = headers["Authorization"]?.replace("Bearer ", "");
  const client = await SocketClient.open(url, token === undefined ? {} : { token });
  const [channel] = channels;
  client.send({ op: "subscribe", ref: 1, ...channels.length === 1 ? { channel } : { channels } });
  const subscribed = await client.until("subscribed");
  let cursor = String(subscribed["cursor"] ?? subscribed["offset"]);
  return {
    get cursor() {
      return cursor;
    },
    async next() {
      const { op, ...event } = await client.next();
      if (op === "ephemeral") return { kind: op, event: event as unknown as WireEphemeral };
      if (op !== "event") throw new Error(`${op} ${JSON.stringify(event)}`);
      cursor = String(event["cursor"] ?? event["offset"]);
      return { kind: op, event: event as unknown as WireEvent };
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** Datagrams may be lost, so a publisher has to repeat ephemeral events. */
async function listenByWebTransport(
  url: string,
  channels: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Listener> {
  await LocalServer.at(url)?.serveWebTransport();
  const token = headers["Authorization"]?.replace("Bearer ", "");
  const options = token === undefined ? {} : { token };
  const client = await WebTransportClient.openOffered(url, options);
  const [channel] = channels;
  const what = channels.length === 1 ? { channel } : { channels };
  await client.send({ op: "subscribe", ref: 1, ...what });
  const [subscribed] = await client.next("subscribed");
  let cursor = String(subscribed["cursor"] ?? subscribed["offset"]);
  return {
    get cursor() {
      return cursor;
    },
    async next() {
      const [{ op, ...event }] = await client.next("event", "ephemeral");
      if (op === "ephemeral") return { kind: op, event: event as unknown as WireEphemeral };
      cursor = String(event["cursor"] ?? event["offset"]);
      return { kind: "event", event: event as unknown as WireEvent };
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** Receives only during a poll, so a publisher has to repeat ephemeral events. */
async function listenByPolls(
  url: string,
  channels: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Listener> {
  const first = await fetch(readUrl(url, channels, { after: "latest" }), { headers });
  await first.body?.cancel();
  let cursor = first.headers.get("weir-cursor") ?? "";
  const received: ReceivedEvent[] = [];
  const abort = new AbortController();
  const poll = async () => {
    const response = await fetch(readUrl(url, channels, { after: cursor, wait: "30" }), {
      headers,
      signal: abort.signal,
    });
    const text = await response.text();
    if (response.status === 204) return;
    if (response.status !== 200) throw new Error(`${response.status} ${text}`);
    const { events, ephemeral = [], cursor: next } = JSON.parse(text);
    if (next !== response.headers.get("weir-cursor")) throw new Error(`another cursor: ${next}`);
    if (events.length === 0 && next !== cursor) throw new Error(`the cursor moved: ${text}`);
    cursor = next;
    for (const event of ephemeral) received.push({ kind: "ephemeral", event });
    for (const event of events) received.push({ kind: "event", event });
  };
  return {
    get cursor() {
      return cursor;
    },
    async next() {
      while (received.length === 0) await poll();
      return received.shift() ?? Promise.reject(new Error("there is one"));
    },
    [Symbol.asyncDispose]: () => {
      abort.abort();
      return Promise.resolve();
    },
  };
}
