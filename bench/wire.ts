/** Hand-written requests of a load run. What they say is up to the protocol of the server. */
import { MARKER, STAMP_DIGITS } from "./counter.ts";
import type { LoadOptions, Transport } from "./options.ts";
import { PROTOCOLS, type SubscribeParts } from "./rivals.ts";

const encoder = new TextEncoder();
const CHANNEL_PREFIX = "bench-";
const CHANNEL_DIGITS = 4;

/** Returns the name of a channel by number, up to 9,999. All names have the same length. */
export function channelName(index: number): string {
  return `${CHANNEL_PREFIX}${String(index).padStart(CHANNEL_DIGITS, "0")}`;
}

/** Returns how many channels a load publishes to. */
export function channelCount(
  { ownChannels, channels, subscribers }: Pick<
    LoadOptions,
    "ownChannels" | "channels" | "subscribers"
  >,
): number {
  return Math.max(1, ownChannels ? subscribers : channels);
}

/** The transports whose subscribers are raw TCP sockets. */
export type TcpTransport = Exclude<Transport, "webtransport">;

/**
 * Returns the request by which a subscriber subscribes, the WebSocket message after it, and by what
 * the subscription is seen to be live.
 */
export async function subscribeRequest(
  options: LoadOptions & { readonly transport: TcpTransport },
  subscriber: number,
): Promise<{ head: Uint8Array; hello?: Uint8Array } & Pick<SubscribeParts, "liveAt">> {
  const channel = channelName(options.ownChannels ? subscriber : 0);
  const { path, headers = [], hello, liveAt } = PROTOCOLS[options.wire].subscribe(channel, options);
  const ticket = options.tickets ? await ticketQuery(options) : "";
  const head = [`GET ${path}${ticket} HTTP/1.1`, `Host: ${options.subscribeAt}`, ...headers];
  if (!options.tickets) head.push(...authorization(options.token));
  if (options.transport === "sse") head.push("Accept: text/event-stream");
  else {
    const key = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
    head.push("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13");
    head.push(`Sec-WebSocket-Key: ${key}`);
  }
  const bytes = encoder.encode(head.join("\r\n") + "\r\n\r\n");
  return { head: bytes, liveAt, ...hello === undefined ? {} : { hello: encoder.encode(hello) } };
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

/** Returns the header with the token, if there is one. */
export function authorization(token: string): readonly string[] {
  return token === "" ? [] : [`Authorization: Bearer ${token}`];
}

/** Returns an event: a JSON object of exactly `size` bytes with the marker and room for the time. */
export function eventOf(size: number): string {
  const start = `{"at":"${String.fromCharCode(MARKER)}${"0".repeat(STAMP_DIGITS)}","pad":"`;
  return start + "x".repeat(Math.max(0, size - start.length - 2)) + '"}';
}

/**
 * A publish request that is built once. Before each use, the channel and the time are written into
 * its bytes.
 */
export class PublishRequest {
  readonly bytes: Uint8Array;
  readonly #stampsAt: readonly number[];
  readonly #channelsAt: readonly number[];

  constructor(options: LoadOptions) {
    const events = Array<string>(options.batch).fill(eventOf(options.size));
    const { path, body, headers = [] } = PROTOCOLS[options.wire].publish(channelName(0), events);
    const lines = [
      `POST ${path} HTTP/1.1`,
      `Host: ${options.publishAt}`,
      ...authorization(options.token),
      ...headers,
      "Content-Type: application/json",
      `Content-Length: ${body.length}`,
    ];
    const text = `${lines.join("\r\n")}\r\n\r\n${body}`;
    this.bytes = encoder.encode(text);
    this.#stampsAt = placesAfter(text, String.fromCharCode(MARKER));
    this.#channelsAt = placesAfter(text, CHANNEL_PREFIX);
  }

  /** Writes the channel's number and the µs since 1970 into the request. */
  prepare(channel: number, microseconds: number): void {
    for (const start of this.#channelsAt) this.#write(channel, start, CHANNEL_DIGITS);
    for (const start of this.#stampsAt) this.#write(Math.floor(microseconds), start, STAMP_DIGITS);
  }

  #write(value: number, start: number, digits: number): void {
    let rest = value;
    for (let i = start + digits - 1; i >= start; i--) {
      this.bytes[i] = 48 + rest % 10;
      rest = Math.floor(rest / 10);
    }
  }
}

/** Returns the indexes right after each `part` of `text`. */
function placesAfter(text: string, part: string): readonly number[] {
  return [...text.matchAll(new RegExp(RegExp.escape(part), "g"))]
    .map(({ index }) => index + part.length);
}
