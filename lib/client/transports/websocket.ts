import {
  CALL_TIMEOUT_MS,
  type Transport,
  type TransportHost,
  urlOf,
} from "../connection/transport.ts";
import { deadline } from "../../shared/async/deadline.ts";
import { toAnswerError, unreachableError } from "../core/errors.ts";
import { type JsonObject, parseJsonObject } from "../core/json_object.ts";
import { onAbort } from "../core/on_abort.ts";
import { WeirError } from "../core/weir_error.ts";
import { goodbyeError } from "./goodbye.ts";
import { parseHeartbeat, SilenceWatch } from "./silence_watch.ts";
import { type OnAnswer, SocketSubscriptions } from "./socket_subscriptions.ts";

/** See docs/protocol.md, "WebSocket". */
const SUBPROTOCOL = "weir.v1";

/**
 * Opens `GET /v1/socket` and authenticates.
 *
 * @param resolveAnchors finds the offsets of `latest` and `earliest` over HTTP, for readers that join
 * a channel which the socket reads already.
 * @see {@link import("../connection/transport.ts").OpenTransport}
 */
export async function openWebSocket(
  host: TransportHost,
  resolveAnchors: (host: TransportHost) => Promise<void>,
): Promise<Transport> {
  const { base, credentials, platform } = host;
  const { token, ticket } = await credentials.get();
  const url = urlOf(base, "/v1/socket");
  url.protocol = url.protocol.replace("http", "ws");
  if (ticket) url.searchParams.set("ticket", ticket);
  // A connection does not try transports that the platform lacks.
  const socket = new platform.WebSocket!(url, SUBPROTOCOL);
  return await new Promise((resolve) => {
    const onOpen = () => resolve(transport);
    const transport: Transport = new SocketTransport({
      host,
      socket,
      token,
      resolveAnchors,
      onOpen,
    });
  });
}

interface SocketTransportOptions {
  readonly host: TransportHost;
  readonly socket: WebSocket;
  readonly token: string | undefined;
  readonly resolveAnchors: (host: TransportHost) => Promise<void>;
  /** Called once the server has accepted the credential. */
  readonly onOpen: () => void;
}

/** A client of the subprotocol `weir.v1`. */
class SocketTransport implements Transport {
  readonly #host: TransportHost;
  readonly #socket: WebSocket;
  readonly #token: string | undefined;
  readonly #onOpen: () => void;
  readonly #watch: SilenceWatch;
  readonly #subscriptions: SocketSubscriptions;
  /** Of the messages without an answer, by `ref`. */
  readonly #onAnswer = new Map<number, OnAnswer>();
  #lastRef = 0;
  #isOpen = false;

  constructor({ host, socket, token, resolveAnchors, onOpen }: SocketTransportOptions) {
    this.#host = host;
    this.#socket = socket;
    this.#token = token;
    this.#onOpen = onOpen;
    this.#watch = new SilenceWatch(
      host,
      host.down,
      () => this.#isOpen && this.#send('{"op":"ping"}'),
    );
    this.#subscriptions = new SocketSubscriptions({
      host,
      resolveAnchors,
      format: this.#format,
      send: this.#send,
    });
    socket.onmessage = ({ data }) => this.#receive(data);
    host.release(
      new Promise<void>((resolve) => {
        socket.onclose = socket.onerror = () => {
          host.down(connectionLost());
          resolve();
        };
      }),
    );
    onAbort(host.signal, () => this.#close());
  }

  update(): void {
    if (this.#isOpen) this.#subscriptions.update();
  }

  check(): void {
    this.#watch.check();
  }

  readonly request = async (message: JsonObject, signal?: AbortSignal): Promise<JsonObject> => {
    if (this.#isClosed) throw connectionLost();
    const answer = new Promise<JsonObject>((resolve, reject) => {
      const settle: OnAnswer = (answer, error) => error ? reject(error) : resolve(answer);
      this.#send(this.#format(message, settle));
    });
    return await deadline(answer, CALL_TIMEOUT_MS, { signal, timers: this.#host.platform });
  };

  readonly #format = (message: JsonObject, onAnswer: OnAnswer): string => {
    const ref = ++this.#lastRef;
    this.#onAnswer.set(ref, onAnswer);
    return JSON.stringify({ ...message, ref });
  };

  readonly #send = (frame: string): void => {
    if (this.#socket.readyState === 1) this.#socket.send(frame);
  };

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
    const { op } = message;
    const channel = String(message["channel"]);
    const { channels, timing, down } = this.#host;
    const isLive = this.#subscriptions.isLive(channel);
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
    const ref = Number(message["ref"]);
    const onAnswer = this.#onAnswer.get(ref);
    this.#onAnswer.delete(ref);
    if (op === "error") {
      // Its only other member is `retryAfter`.
      onAnswer?.({}, new WeirError(String(message["code"]), String(message["detail"]), message));
    } else if (onAnswer) {
      onAnswer(message);
    } else if (op === "unsubscribed") {
      this.#subscriptions.delete(channel);
      channels.unsubscribed(message);
    } else if (op === "left") {
      this.#host.left.set(message);
    }
  }

  #authenticate(): void {
    const accepted = () => {
      this.#isOpen = true;
      this.#onOpen();
    };
    if (!this.#token) return accepted();
    this.#send(this.#format({ op: "auth", token: this.#token }, (_, error) => {
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

  get #isClosed(): boolean {
    return this.#host.signal.aborted;
  }

  #close(): void {
    this.#watch.stop();
    this.#subscriptions.close();
    this.#socket.close();
    for (const onAnswer of this.#onAnswer.values()) onAnswer({}, connectionLost());
  }
}

function connectionLost(): WeirError {
  return unreachableError("The connection was lost.");
}
