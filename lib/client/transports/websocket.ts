import { type JsonObject, parseJsonObject } from "../core/json_object.ts";
import { isCredentialError, toAnswerError, unreachableError } from "../core/errors.ts";
import { goodbyeError } from "./goodbye.ts";
import { onAbort } from "../core/on_abort.ts";
import { isRetryable } from "../core/retry_call.ts";
import { fullJitter } from "../core/backoff.ts";
import {
  CALL_TIMEOUT_MS,
  type Transport,
  type TransportHost,
  urlOf,
} from "../connection/transport.ts";
import { parseHeartbeat, SilenceWatch } from "./silence_watch.ts";
import { WeirError } from "../core/weir_error.ts";
import { deadline } from "../core/deadline.ts";

/** Of the protocol; see docs/protocol.md, "WebSocket". */
const SUBPROTOCOL = "weir.v1";
/** Subscribes that wait for their answer. Met: a server that refuses all of many, again and again. */
const MAX_PENDING_SUBSCRIBES = 100;
/** The least that passes before a subscribe is repeated, in ms. */
const RETRY_MS = 1_000;
/** Messages of one frame, of the server. */
const MAX_FRAME_MESSAGES = 256;

type Message = Readonly<Record<string, unknown>>;
type Answered = (answer: JsonObject, error?: WeirError) => void;

interface Subscribed {
  readonly version: number;
  isLive: boolean;
}

/**
 * Opens `GET /v1/socket` and authenticates.
 *
 * @param resolveStarts finds the offsets of `latest` and `earliest` over HTTP, for readers that join
 * a channel which the socket reads already.
 * @see {@link import("../connection/transport.ts").OpenTransport}
 */
export async function openWebSocket(
  host: TransportHost,
  resolveStarts: () => Promise<void>,
): Promise<Transport> {
  const { base, credentials, platform } = host;
  const { token, ticket } = await credentials.get();
  const url = urlOf(base, "/v1/socket");
  url.protocol = url.protocol.replace("http", "ws");
  if (ticket !== undefined) url.searchParams.set("ticket", ticket);
  // A connection does not try what is not there.
  const socket = new platform.WebSocket!(url, SUBPROTOCOL);
  return await new Promise((resolve) => {
    const transport: Transport = new SocketTransport({
      host,
      socket,
      token,
      resolveStarts,
      onOpen: () => resolve(transport),
    });
  });
}

interface SocketTransportOptions {
  readonly host: TransportHost;
  readonly socket: WebSocket;
  readonly token: string | undefined;
  readonly resolveStarts: () => Promise<void>;
  /** Called once the server has accepted the client. */
  readonly onOpen: () => void;
}

/** A client of `weir.v1`. */
class SocketTransport implements Transport {
  readonly #host: TransportHost;
  readonly #socket: WebSocket;
  readonly #token: string | undefined;
  readonly #resolveStarts: () => Promise<void>;
  readonly #onOpen: () => void;
  readonly #watch: SilenceWatch;
  readonly #answers = new Map<number, Answered>();
  readonly #subscribed = new Map<string, Subscribed>();
  #ref = 0;
  #failures = 0;
  #timer: unknown;
  #isOpen = false;
  #isPlacing = false;

  constructor({ host, socket, token, resolveStarts, onOpen }: SocketTransportOptions) {
    this.#host = host;
    this.#socket = socket;
    this.#token = token;
    this.#resolveStarts = resolveStarts;
    this.#onOpen = onOpen;
    this.#watch = new SilenceWatch(
      host,
      host.down,
      () => this.#isOpen && this.#send('{"op":"ping"}'),
    );
    socket.onmessage = ({ data }) => this.#receive(data);
    host.release(
      new Promise<void>((resolve) => {
        socket.onclose = socket.onerror = () => {
          host.down(lost());
          resolve();
        };
      }),
    );
    onAbort(host.signal, () => this.#close());
  }

  update(): void {
    const { channels } = this.#host;
    if (!this.#isOpen) return;
    const wanted = channels.wanted();
    const lines: string[] = [];
    const names = new Set(wanted.map(({ channel }) => channel));
    for (const channel of this.#subscribed.keys()) {
      if (!names.has(channel)) lines.push(this.#unsubscribe(channel));
    }
    for (const { channel, after, version } of wanted) {
      const current = this.#subscribed.get(channel);
      if (current?.version === version) continue;
      if (this.#pending >= MAX_PENDING_SUBSCRIBES || this.#timer !== undefined) break;
      if (current !== undefined) lines.push(this.#unsubscribe(channel));
      lines.push(this.#subscribe(channel, after, version));
    }
    while (lines.length > 0) this.#send(lines.splice(0, MAX_FRAME_MESSAGES).join("\n"));
    if (!this.#isPlacing && channels.unresolvedStarts(false).length > 0) void this.#place();
  }

  check(): void {
    this.#watch.check();
  }

  readonly request = async (message: Message, signal?: AbortSignal): Promise<JsonObject> => {
    if (this.#isClosed) throw lost();
    const answered = new Promise<JsonObject>((resolve, reject) => {
      const settle: Answered = (answer, error) => error ? reject(error) : resolve(answer);
      this.#send(this.#request(message, settle));
    });
    return await deadline(this.#host.platform, CALL_TIMEOUT_MS, answered, signal);
  };

  /** Over HTTP: this socket has one subscription to a channel. */
  async #place(): Promise<void> {
    this.#isPlacing = true;
    try {
      await this.#resolveStarts();
      this.#isPlacing = false;
      this.update(); // others may have come meanwhile, or wait since these have their places
    } catch {
      this.#later(); // it can't be loaded
    }
  }

  #subscribe(channel: string, after: string, version: number): string {
    const subscribed: Subscribed = { version, isLive: false };
    this.#subscribed.set(channel, subscribed);
    return this.#request({ op: "subscribe", channel, after }, ({ offset }, error) => {
      if (this.#isClosed || this.#subscribed.get(channel) !== subscribed) return;
      if (error) {
        this.#subscribed.delete(channel);
        this.#refused(channel, error);
      } else {
        subscribed.isLive = true;
        this.#failures = 0;
        this.#host.channels.started(channel, after, String(offset));
      }
      if (this.#pending % (MAX_PENDING_SUBSCRIBES / 2) === 0) this.update(); // many at once
    });
  }

  #refused(channel: string, error: WeirError): void {
    if (isCredentialError(error)) this.#host.down(error);
    else if (error.code === "internal" || isRetryable(error)) this.#later(error.retryAfter);
    else this.#host.channels.ended(channel, error);
  }

  /** Subscribes to the rest after a while. */
  #later(wait?: number): void {
    const { platform } = this.#host;
    if (this.#isClosed) return;
    this.#timer ??= platform.setTimeout(() => {
      this.#timer = undefined;
      this.#isPlacing = false;
      this.update();
    }, wait ?? RETRY_MS + fullJitter(this.#failures++, platform.random));
  }

  #unsubscribe(channel: string): string {
    this.#subscribed.delete(channel);
    return this.#request({ op: "unsubscribe", channel }, () => {});
  }

  /** How many subscribes wait for their answer. */
  get #pending(): number {
    return [...this.#subscribed.values()].filter(({ isLive }) => !isLive).length;
  }

  #request(message: Message, answered: Answered): string {
    const ref = ++this.#ref;
    this.#answers.set(ref, answered);
    return JSON.stringify({ ...message, ref });
  }

  #send(frame: string): void {
    if (this.#socket.readyState === 1) this.#socket.send(frame);
  }

  #receive(frame: unknown): void {
    this.#watch.heard();
    try {
      for (const line of String(frame).split("\n")) {
        if (this.#isClosed) return;
        this.#handle(parseJsonObject(line), line.length);
      }
    } catch (cause) {
      this.#host.down(toAnswerError(cause));
    }
  }

  #handle(message: JsonObject, size: number): void {
    const { op, channel } = message;
    const { channels, timing, down } = this.#host;
    const isLive = this.#subscribed.get(String(channel))?.isLive;
    switch (op) {
      case "welcome":
        timing.heartbeatMs = parseHeartbeat(message["heartbeat"], timing.heartbeatMs);
        if (this.#token === undefined) return this.#ready();
        return this.#send(this.#request({ op: "auth", token: this.#token }, (_, error) => {
          if (error) down(error);
          else this.#ready();
        }));
      case "event":
        return isLive ? channels.event(message, size) : undefined;
      case "gap":
        return isLive ? channels.gap(message) : undefined;
      case "ephemeral":
        return channels.ephemeral(message);
      case "token":
        return void this.#renew();
      case "goodbye":
        return down(goodbyeError(message), true);
    }
    const ref = Number(message["ref"]);
    const answered = this.#answers.get(ref);
    this.#answers.delete(ref);
    if (op === "error") {
      answered?.({}, new WeirError(String(message["code"]), String(message["detail"])));
    } else if (answered !== undefined) {
      answered(message);
    } else if (op === "unsubscribed") {
      this.#subscribed.delete(String(channel));
      channels.unsubscribed(message);
    } else if (op === "left") {
      this.#host.left.set(message);
    }
  }

  #ready(): void {
    this.#isOpen = true;
    this.#onOpen();
  }

  /** What is refused, or can't be had, shows at the end of the old credential. */
  async #renew(): Promise<void> {
    try {
      const { token } = await this.#host.credentials.renew();
      if (token !== undefined) await this.request({ op: "auth", token });
    } catch {
      // Of `auth` the application was told.
    }
  }

  get #isClosed(): boolean {
    return this.#host.signal.aborted;
  }

  #close(): void {
    this.#watch.stop();
    this.#host.platform.clearTimeout(this.#timer);
    this.#socket.close();
    for (const answered of this.#answers.values()) answered({}, lost());
  }
}

function lost(): WeirError {
  return unreachableError("The connection was lost.");
}
