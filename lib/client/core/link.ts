import type { EphemeralEvent, Gap, WeirEvent } from "./event.ts";
import type { JsonObject } from "./json_object.ts";
import type { ObservableValue } from "./observable.ts";
import type { ConnectionState } from "./state.ts";
import type { WeirError } from "./weir_error.ts";

/**
 * What publishing, presence and subscriptions need from a connection. `Connection` implements it
 * over the network and `TabLink` over another tab, so everything that crosses it is plain data.
 */
export interface Link {
  readonly state: ObservableValue<ConnectionState>;
  /**
   * Delivers the channel's events after `after` (a cursor, `earliest` or `latest`) to `listener`,
   * each once and in order, across reconnects and transports, until the feed is closed.
   *
   * @internal
   */
  feed(channel: string, after: string, listener: FeedListener): Feed;
  /**
   * Sends one request and resolves with its answer. It uses the WebSocket if that is open and can
   * carry the call, else HTTP. It does not retry.
   *
   * @throws {WeirError}
   */
  call(call: Call, signal?: AbortSignal): Promise<JsonObject>;
  /**
   * The last removal of one of this client's members by the server: `channel`, `member` and
   * `reason`, a code.
   *
   * @internal
   */
  readonly left?: ObservableValue<JsonObject>;
  /**
   * Ends the wait for the next try to connect, but not within a second of the last try, nor before
   * the server allows one. For what cannot wait for the backoff.
   */
  retry(): void;
  close(error?: WeirError): Promise<void>;
}

export interface FeedListener {
  /** Reading begins after `cursor`. Called before everything else, and after each reconnect. */
  started(cursor: string): void;
  /**
   * @param event its `data` is as on the wire, with bytes decoded.
   * @param size characters of the event's message if known, to account for memory.
   */
  event(event: WeirEvent, size?: number): void;
  gap(gap: Gap): void;
  ephemeral(event: EphemeralEvent): void;
  /** The feed ended: the client lost the permission or was closed. */
  ended(error: WeirError): void;
}

export interface Feed {
  /** Stops deliveries, and reading from the server, until `resume()`. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** An event to publish. `data` is any JSON value. */
export interface Publication {
  readonly id: string;
  readonly data: unknown;
  readonly type?: string;
  readonly key?: string;
  readonly ttl?: number;
  readonly traceparent?: string;
}

export type Call =
  /** 1 to 100 events of one channel, stored in order, all or none. Answers with `events`. */
  | { readonly op: "publish"; readonly channel: string; readonly events: readonly Publication[] }
  | {
    readonly op: "ephemeral";
    readonly channel: string;
    readonly data: unknown;
    readonly type?: string;
    /** Refused with `bad_parameter`, as `key` and `ttl` are. */
    readonly id?: string | undefined;
    readonly key?: string;
    readonly ttl?: number;
    readonly traceparent?: string;
  }
  /**
   * Enters the channel as a member. The member stays while the WebSocket is open; over HTTP the
   * call must be repeated within `expiresIn` ms of the answer.
   */
  | {
    readonly op: "enter";
    readonly channel: string;
    readonly member?: string;
    /** The name of the session. */
    readonly session?: string;
    readonly data?: unknown;
  }
  | {
    readonly op: "leave";
    readonly channel: string;
    readonly member?: string;
    readonly session?: string;
    /** Ends the session over HTTP even if there is a WebSocket now. */
    readonly isByHttp?: boolean;
  }
  /**
   * Sends a signal to one session of the member `to`, or to all of them. Answers with `sessions`.
   * `member` and `session` are the sender, as this client entered it. Calls without waiting for the
   * answer of the one before may change their order.
   */
  | {
    readonly op: "signal";
    readonly channel: string;
    readonly member?: string;
    readonly session?: string;
    readonly to: string;
    readonly toSession?: string;
    readonly data: unknown;
  }
  /** `GET path`, answered with its JSON. `path` begins with `/v1/`. */
  | { readonly op: "get"; readonly path: string }
  /** `POST path` with `body` as JSON, answered with its JSON. `path` begins with `/v1/`. */
  | { readonly op: "post"; readonly path: string; readonly body?: unknown };
