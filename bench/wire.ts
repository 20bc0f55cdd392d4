/** Hand-written requests of a load run, for Weir and for the bare server. */
import { MARKER, STAMP_DIGITS } from "./counter.ts";
import type { LoadOptions, Transport, Wire } from "./options.ts";

const encoder = new TextEncoder();

/** Returns the name of a channel by number. All names have the same length. */
export function channelName(index: number): string {
  return `bench-${String(index).padStart(4, "0")}`;
}

/** The transports whose subscribers are raw TCP sockets. */
export type TcpTransport = Exclude<Transport, "webtransport">;

/** Returns the request that subscribes to channel 0, and for a WebSocket the message after it. */
export async function subscribeRequest(
  options: LoadOptions & { readonly transport: TcpTransport },
): Promise<{ head: Uint8Array; hello?: Uint8Array }> {
  const path = subscribePath(options) + (options.tickets ? await ticketQuery(options) : "");
  const head = [`GET ${path} HTTP/1.1`, `Host: ${options.subscribeAt}`];
  if (!options.tickets) head.push(...authorization(options.token));
  if (options.transport === "sse") {
    head.push("Accept: text/event-stream");
    return { head: encoder.encode(head.join("\r\n") + "\r\n\r\n") };
  }
  const key = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
  head.push("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13");
  head.push(`Sec-WebSocket-Key: ${key}`);
  if (options.wire === "weir") head.push("Sec-WebSocket-Protocol: weir.v1");
  const bytes = encoder.encode(head.join("\r\n") + "\r\n\r\n");
  if (options.wire === "bare") return { head: bytes };
  const subscribe = {
    op: "subscribe",
    ref: 1,
    channel: channelName(0),
    ...(options.held > 0 ? { after: "earliest" } : {}),
  };
  return { head: bytes, hello: encoder.encode(JSON.stringify(subscribe)) };
}

function subscribePath(options: LoadOptions & { readonly transport: TcpTransport }): string {
  const paths: Record<Wire, Record<TcpTransport, string>> = {
    weir: { sse: `/v1/channels/${channelName(0)}/events`, websocket: "/v1/socket" },
    bare: { sse: "/sub", websocket: "/ws" },
  };
  const path = paths[options.wire][options.transport];
  const replay = options.held > 0 && options.transport === "sse";
  return replay ? `${path}?after=earliest` : path;
}

/** Returns a ticket for one subscriber, as a query. */
async function ticketQuery({ subscribeAt, token }: LoadOptions): Promise<string> {
  const response = await fetch(`http://${subscribeAt}/v1/tickets`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
  });
  const { ticket, detail } = await response.json();
  if (typeof ticket !== "string") throw new Error(`Ticket refused: ${detail}`);
  return `?ticket=${ticket}`;
}

function authorization(token: string): readonly string[] {
  return token === "" ? [] : [`Authorization: Bearer ${token}`];
}

/** A publish request that is built once and stamped with the time before each use. */
export class PublishRequest {
  readonly bytes: Uint8Array;
  readonly #stampsAt: readonly number[];

  /** Each event is a JSON object of exactly `options.size` bytes that starts with the marker. */
  constructor(options: LoadOptions, channel: number) {
    const start = `{"at":"${String.fromCharCode(MARKER)}${"0".repeat(STAMP_DIGITS)}","pad":"`;
    const data = start + "x".repeat(Math.max(0, options.size - start.length - 2)) + '"}';
    const { path, body } = target(options, channelName(channel), data);
    this.bytes = encoder.encode(
      [`POST ${path} HTTP/1.1`, `Host: ${options.publishAt}`, ...authorization(options.token)]
        .join("\r\n") +
        `\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    this.#stampsAt = this.bytes.keys().filter((i) => this.bytes[i] === MARKER).map((i) => i + 1)
      .toArray();
  }

  /** Writes `microseconds` since 1970 into the payloads. */
  stamp(microseconds: number): void {
    for (const start of this.#stampsAt) {
      let rest = Math.floor(microseconds);
      for (let i = start + STAMP_DIGITS - 1; i >= start; i--) {
        this.bytes[i] = 48 + rest % 10;
        rest = Math.floor(rest / 10);
      }
    }
  }
}

function target(
  { wire, batch }: LoadOptions,
  channel: string,
  data: string,
): { readonly path: string; readonly body: string } {
  const all = Array<string>(batch).fill(data);
  if (wire === "bare") return { path: "/pub", body: all.join("\n") };
  if (batch === 1) return { path: `/v1/channels/${channel}/events`, body: data };
  const events = all.map((data) => `{"channel":"${channel}","data":${data}}`);
  return { path: "/v1/events", body: `{"events":[${events.join(",")}]}` };
}
