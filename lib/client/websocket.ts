import { later } from "./later.ts";
import type { Answer, Call } from "./link.ts";
import { badAnswer, goodbyeError, isCredentialRefusal, isFatal, unreachable } from "./refusal.ts";
import { onAbort } from "./on_abort.ts";
import { parseObject } from "./parse_object.ts";
import { CALL_LIMIT_MS } from "./published.ts";
import { isPassing } from "./repeated.ts";
import { fullJitter } from "./backoff.ts";
import { callOverSocket } from "./socket_calls.ts";
import { type Down, type Host, type Transport, urlOf } from "./transport.ts";
import { heartbeatOf, Watch } from "./watch.ts";
import { WeirError } from "./weir_error.ts";

/** Of the protocol; see docs/protocol.md, "WebSocket". */
const SUBPROTOCOL = "weir.v1";
/** Subscribes that wait for their answer. Met: a server that refuses all of many, again and again. */
const MAX_PENDING_SUBSCRIBES = 100;
/** The least that passes before a subscribe is repeated, in ms. */
const RETRY_MS = 1_000;

type Message = Readonly<Record<string, unknown>>;
type Answered = (answer: Answer | undefined, error: WeirError | undefined) => void;

interface Subscribed {
  readonly version: number;
  isLive: boolean;
}

/** Opens `GET /v1/socket`, and says who the client is. @see {@link OpenTransport} */
export async function openWebSocket(host: Host): Promise<Transport> {
  const { base, credentials, platform } = host;
  const { token, ticket } = await credentials.get();
  const url = urlOf(base, "/v1/socket");
  url.protocol = url.protocol.replace("http", "ws");
  if (ticket !== undefined) url.searchParams.set("ticket", ticket);
  const { WebSocket } = platform;
  if (WebSocket === undefined) throw unreachable("There is no WebSocket here.");
  const socket = new WebSocket(url, SUBPROTOCOL);
  return await new Promise((resolve, reject) => {
    const transport: SocketTransport = new SocketTransport(host, socket, token, (error) => {
      if (error === undefined) resolve(transport);
      else reject(error);
    });
  });
}

/** A client of `weir.v1`. */
class SocketTransport implements Transport {
  readonly #host: Host;
  readonly #socket: WebSocket;
  readonly #watch: Watch;
  readonly #opened: (error?: WeirError) => void;
  readonly #answers = new Map<number, Answered>();
  readonly #subscribed = new Map<string, Subscribed>();
  #ref = 0;
  #pending = 0;
  #failures = 0;
  #timer: unknown;
  #isOpen = false;
  #isPlacing = false;
  #isClosed = false;

  constructor(
    host: Host,
    socket: WebSocket,
    token: string | undefined,
    opened: (error?: WeirError) => void,
  ) {
    this.#host = host;
    this.#socket = socket;
    this.#opened = opened;
    this.#watch = new Watch({
      platform: host.platform,
      timing: host.timing,
      ask: () => this.#isOpen && this.#send({ op: "ping" }),
      dead: () => this.#fail(unreachable("The WebSocket has gone silent."), { isSilent: true }),
    });
    socket.onmessage = ({ data }) => this.#receive(data, token);
    host.release(
      new Promise<void>((resolve) => {
        socket.onclose = socket.onerror = () => {
          this.#fail(unreachable("The WebSocket has closed."));
          resolve();
        };
      }),
    );
    onAbort(host.signal, () => this.#close());
  }

  sync(): void {
    const { channels } = this.#host;
    if (!this.#isOpen) return;
    const wanted = channels.wanted();
    const lines: Message[] = [];
    const names = new Set(wanted.map(({ channel }) => channel));
    for (const channel of [...this.#subscribed.keys()]) {
      if (!names.has(channel)) lines.push(this.#unsubscribe(channel));
    }
    for (const { channel, after, version } of wanted) {
      const current = this.#subscribed.get(channel);
      if (current?.version === version) continue;
      if (this.#pending >= MAX_PENDING_SUBSCRIBES || this.#timer !== undefined) break;
      if (current !== undefined) lines.push(this.#unsubscribe(channel));
      lines.push(this.#subscribe(channel, after, version));
    }
    if (lines.length > 0) this.#send(...lines);
    if (!this.#isPlacing && channels.unplaced(false).length > 0) void this.#place();
  }

  check(): void {
    this.#watch.check();
  }

  call(call: Call, signal?: AbortSignal): Promise<Answer> | undefined {
    const { isTicket } = this.#host.credentials;
    return callOverSocket(call, isTicket, (message) => this.#ask(message, signal));
  }

  #ask(message: Message, signal?: AbortSignal): Promise<Answer> {
    const { platform } = this.#host;
    return new Promise((resolve, reject) => {
      const late = () => settle(undefined, unreachable("No answer came in time."));
      const timer = platform.setTimeout(late, CALL_LIMIT_MS);
      let forget = () => {};
      const settle = (answer: Answer | undefined, cause: unknown) => {
        platform.clearTimeout(timer);
        forget();
        if (answer === undefined) reject(cause);
        else resolve(answer);
      };
      this.#send(this.#request(message, settle));
      forget = onAbort(signal, () => settle(undefined, signal?.reason));
    });
  }

  /** Over HTTP: this socket has one subscription to a channel. */
  async #place(): Promise<void> {
    this.#isPlacing = true;
    try {
      const { place } = await later();
      await place(this.#host, false);
      this.#isPlacing = false;
      this.sync(); // others may have come meanwhile, or wait since these have their places
    } catch {
      this.#later(); // the socket says itself what is wrong with the credential or the server
    }
  }

  #subscribe(channel: string, after: string, version: number): Message {
    const subscribed: Subscribed = { version, isLive: false };
    this.#subscribed.set(channel, subscribed);
    this.#pending++;
    return this.#request({ op: "subscribe", channel, after }, (answer, error) => {
      this.#pending--;
      if (this.#isClosed) return;
      const isCurrent = this.#subscribed.get(channel) === subscribed;
      if (error === undefined) {
        if (isCurrent) {
          subscribed.isLive = true;
          this.#failures = 0;
          this.#host.channels.started(channel, after, String(answer?.["offset"]));
        }
      } else if (isCurrent) {
        this.#subscribed.delete(channel);
        this.#refused(channel, error);
      }
      if (this.#pending % (MAX_PENDING_SUBSCRIBES / 2) === 0) this.sync(); // many at once
    });
  }

  #refused(channel: string, error: WeirError): void {
    if (isCredentialRefusal(error)) return this.#fail(error);
    if (error.code !== "internal" && !isPassing(error)) {
      return this.#host.channels.ended(channel, error);
    }
    this.#later(error.retryAfter);
  }

  /** Subscribes to the rest after a while. */
  #later(wait?: number): void {
    const { platform } = this.#host;
    if (this.#isClosed) return;
    const random = () => platform.random();
    wait ??= RETRY_MS + fullJitter(this.#failures++, random);
    this.#timer ??= platform.setTimeout(() => {
      this.#timer = undefined;
      this.#isPlacing = false;
      this.sync();
    }, wait);
  }

  #unsubscribe(channel: string): Message {
    this.#subscribed.delete(channel);
    return this.#request({ op: "unsubscribe", channel }, () => {});
  }

  #request(message: Message, answered: Answered): Message {
    const ref = ++this.#ref;
    this.#answers.set(ref, answered);
    return { ...message, ref };
  }

  #send(...messages: readonly Message[]): void {
    if (this.#isClosed || this.#socket.readyState !== 1) return;
    this.#socket.send(messages.map((message) => JSON.stringify(message)).join("\n"));
  }

  #receive(frame: unknown, token: string | undefined): void {
    this.#watch.heard();
    try {
      for (const line of String(frame).split("\n")) {
        if (this.#isClosed) return;
        this.#handle(parseObject(line), line.length, token);
      }
    } catch (cause) {
      const isKnown = cause instanceof WeirError;
      this.#fail(isKnown ? cause : badAnswer("A message can't be read.", cause));
    }
  }

  #handle(message: Answer, size: number, token: string | undefined): void {
    const { op, channel } = message;
    const { channels, timing } = this.#host;
    switch (op) {
      case "welcome":
        timing.heartbeat = heartbeatOf(message["heartbeat"], timing.heartbeat);
        if (token === undefined) return this.#ready();
        return this.#send(this.#request({ op: "auth", token }, (_, error) => {
          if (error === undefined) this.#ready();
          else this.#fail(error);
        }));
      case "event":
        if (this.#isLive(channel)) channels.event(message, size);
        return;
      case "gap":
        if (this.#isLive(channel)) channels.gap(message);
        return;
      case "ephemeral":
        return channels.ephemeral(message);
      case "token":
        return void this.#renew();
      case "goodbye":
        return this.#fail(goodbyeError(message["reason"]), {
          retry: Number(message["retry"]) || 0,
          isGoodbye: true,
        });
    }
    const ref = Number(message["ref"]);
    const answered = this.#answers.get(ref);
    this.#answers.delete(ref);
    if (op === "error") {
      answered?.(undefined, new WeirError(String(message["code"]), String(message["detail"])));
    } else if (answered !== undefined) {
      answered(message, undefined);
    } else if (op === "unsubscribed") {
      this.#subscribed.delete(String(channel));
      const detail = "The credential does not allow to read it any more.";
      channels.ended(String(channel), new WeirError(String(message["reason"]), detail));
    }
  }

  #isLive(channel: unknown): boolean {
    return this.#subscribed.get(String(channel))?.isLive === true;
  }

  #ready(): void {
    this.#isOpen = true;
    this.#opened();
  }

  /** What is refused, or can't be had, shows at the end of the old credential. */
  async #renew(): Promise<void> {
    try {
      const { token } = await this.#host.credentials.renew();
      if (token !== undefined) await this.#ask({ op: "auth", token });
    } catch (cause) {
      if (cause instanceof WeirError && isFatal(cause)) this.#fail(cause);
    }
  }

  #fail(error: WeirError, how?: Down): void {
    if (this.#isClosed) return;
    this.#opened(error); // before the close, which would say no more than that it was closed
    this.#close();
    this.#host.down(error, how);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watch.stop();
    this.#host.platform.clearTimeout(this.#timer);
    this.#socket.close();
    const error = unreachable("The connection was lost before the answer came.");
    for (const answered of this.#answers.values()) answered(undefined, error);
    this.#answers.clear();
    this.#opened(error);
  }
}
