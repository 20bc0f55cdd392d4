import { CALL_TIMEOUT_MS, type Transport, type TransportHost } from "../connection/transport.ts";
import { deadline } from "../../shared/async/deadline.ts";
import { toAnswerError, unreachableError } from "../core/errors.ts";
import { type JsonObject, parseJsonObject } from "../core/json_object.ts";
import { onAbort } from "../core/on_abort.ts";
import { WeirError } from "../core/weir_error.ts";
import { goodbyeError } from "./goodbye.ts";
import { parseHeartbeat, SilenceWatch } from "./silence_watch.ts";
import { type OnAnswer, Subscriptions } from "./subscriptions.ts";

interface MessageTransportOptions {
  readonly host: TransportHost;
  /** Sent as the first message, if there is one. */
  readonly token: string | undefined;
  /** Finds the offsets of `latest` and `earliest` over HTTP. */
  readonly resolveAnchors: (host: TransportHost) => Promise<void>;
  /** Sends messages, one per line. Drops them if the connection is not open. */
  readonly send: (lines: string) => unknown;
  /** Called once the server has accepted the credential. */
  readonly onOpen: (transport: Transport) => void;
}

/** A client of the messages of `weir.v1`. It does not know what carries them. */
export class MessageTransport implements Transport {
  readonly #options: MessageTransportOptions;
  readonly #host: TransportHost;
  readonly #watch: SilenceWatch;
  readonly #subscriptions: Subscriptions;
  /** Of the messages without an answer, by `ref`. */
  readonly #onAnswer = new Map<unknown, OnAnswer>();
  #lastRef = 0;
  #isOpen = false;

  constructor(options: MessageTransportOptions) {
    const { host, send } = this.#options = options;
    this.#host = host;
    this.#watch = new SilenceWatch(host, host.down, () => this.#isOpen && send('{"op":"ping"}'));
    this.#subscriptions = new Subscriptions({ ...options, format: this.#format });
    onAbort(host.signal, () => {
      this.#watch.stop();
      for (const onAnswer of this.#onAnswer.values()) onAnswer({}, connectionLost());
    });
  }

  update(): boolean {
    return this.#subscriptions.update();
  }

  check(): void {
    this.#watch.check();
  }

  /**
   * @param timeoutMs how long the answer may take.
   * @param send sends the message.
   * @see {@link Transport.request}
   */
  readonly request = async (
    message: JsonObject,
    signal?: AbortSignal,
    timeoutMs: number = CALL_TIMEOUT_MS,
    send: (line: string) => unknown = this.#options.send,
  ): Promise<JsonObject> => {
    if (this.#host.signal.aborted) throw connectionLost();
    const answer = new Promise<JsonObject>((resolve, reject) => {
      const settle: OnAnswer = (answer, error) => error ? reject(error) : resolve(answer);
      send(this.#format(message, settle));
    });
    const ref = this.#lastRef;
    try {
      return await deadline(answer, timeoutMs, { signal, timers: this.#host.platform });
    } finally {
      this.#onAnswer.delete(ref);
    }
  };

  /**
   * Handles messages that have arrived, one per line.
   *
   * @param stream the number of the stream on which they came, if there are several.
   */
  receive(lines: string, stream = 0): void {
    this.#watch.heard();
    try {
      for (const line of lines.split("\n")) {
        if (this.#host.signal.aborted) return;
        this.#handle(parseJsonObject(line), line.length, stream);
      }
    } catch (cause) {
      this.#host.down(toAnswerError(cause));
    }
  }

  readonly #format = (message: JsonObject, onAnswer: OnAnswer): string => {
    const ref = ++this.#lastRef;
    this.#onAnswer.set(ref, onAnswer);
    return JSON.stringify({ ...message, ref });
  };

  #handle(message: JsonObject, size: number, stream: number): void {
    const { op, ref } = message;
    const channel = String(message["channel"]);
    const { channels, timing, down } = this.#host;
    const isLive = this.#subscriptions.isLive(channel, stream);
    switch (op) {
      case "welcome":
        timing.heartbeatMs = parseHeartbeat(message["heartbeat"], timing.heartbeatMs);
        return this.#authenticate();
      case "event":
        return isLive ? channels.event(message, size) : undefined;
      case "gap":
        return isLive ? channels.gap(message) : undefined;
      case "ephemeral":
        return channels.ephemeral(message);
      case "token":
        return void this.#renewToken();
      case "goodbye":
        return down(goodbyeError(message), true);
    }
    const onAnswer = this.#onAnswer.get(ref);
    this.#onAnswer.delete(ref);
    if (op === "error") {
      // Its only other member is `retryAfter`.
      onAnswer?.({}, new WeirError(String(message["code"]), String(message["detail"]), message));
    } else if (ref) {
      onAnswer?.(message, undefined, stream); // undefined if nobody waits for it any more
    } else if (op === "unsubscribed") {
      this.#subscriptions.delete(channel);
      channels.unsubscribed(message);
    } else if (op === "left") {
      this.#host.left.set(message);
    }
  }

  #authenticate(): void {
    const { token, send, onOpen } = this.#options;
    const accepted = () => {
      this.#isOpen = true;
      onOpen(this);
    };
    if (!token) return accepted();
    send(this.#format({ op: "auth", token }, (_, error) => {
      if (error) this.#host.down(error);
      else accepted();
    }));
  }

  /** Gives the server a new token. If that fails, the connection ends with the old one. */
  async #renewToken(): Promise<void> {
    try {
      const { token } = await this.#host.credentials.renew();
      if (token) await this.request({ op: "auth", token });
    } catch {
      // `auth` reports its own errors.
    }
  }
}

export function connectionLost(): WeirError {
  return unreachableError("The connection was lost.");
}
