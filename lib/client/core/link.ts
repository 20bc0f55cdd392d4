import type { EphemeralEvent, Gap, WeirEvent } from "./event.ts";
import type { JsonObject } from "./json_object.ts";
import type { Observable } from "./observable.ts";
import type { ConnectionState } from "./state.ts";
import type { WeirError } from "./weir_error.ts";

/**
 * What the parts above a connection ask of it: publishing, presence, subscriptions. There is one
 * over the network (connection.ts), and one over another tab's (tabs.ts); so what crosses it is
 * plain data.
 */
export interface Link {
  readonly state: Observable<ConnectionState>;
  /**
   * Tells `listener` the channel's events behind `after` (a cursor, `earliest` or `latest`), each
   * once and in order, across reconnects and transports, until closed.
   */
  feed(channel: string, after: string, listener: FeedListener): Feed;
  /**
   * One request and its answer, over the WebSocket where that is open and can, else over HTTP.
   * Tried once: `unreachable` and what passes are the caller's to repeat.
   *
   * @throws {WeirError}
   */
  call(call: Call, signal?: AbortSignal): Promise<JsonObject>;
  /**
   * What the server said last of a member of this client's that it has put out: `channel`, `member`
   * and `reason`, a code.
   */
  readonly left?: Observable<JsonObject>;
  close(error?: WeirError): Promise<void>;
}

export interface FeedListener {
  /** Reading begins behind `cursor`. Told before all else, and again after each reconnect. */
  started(cursor: string): void;
  /**
   * `event.data` as it is on the wire, bytes decoded.
   *
   * @param size characters of its message, as far as they are known: for who keeps it in memory.
   */
  event(event: WeirEvent, size?: number): void;
  gap(gap: Gap): void;
  ephemeral(event: EphemeralEvent): void;
  /** Nothing more comes: the right is gone, or the client closed. */
  ended(error: WeirError): void;
}

export interface Feed {
  /** Nothing more is told, and the server is asked for nothing, until `resume()`. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** An event to publish: `data` is any JSON value. */
export interface Publication {
  readonly id: string;
  readonly data: unknown;
  readonly type?: string;
  readonly key?: string;
  readonly ttl?: number;
}

export type Call =
  /** All of one channel, in order, all or none: 1–100. Answers with `events`, each as published. */
  | { readonly op: "publish"; readonly channel: string; readonly events: readonly Publication[] }
  | {
    readonly op: "ephemeral";
    readonly channel: string;
    readonly data: unknown;
    readonly type?: string;
  }
  /**
   * Is a member of the channel. Over the WebSocket as long as that is open; over HTTP for
   * `expiresIn` ms (in the answer), and then has to be said again.
   */
  | {
    readonly op: "enter";
    readonly channel: string;
    readonly member?: string;
    readonly data?: unknown;
  }
  | {
    readonly op: "leave";
    readonly channel: string;
    readonly member?: string;
    /** Ends the session over HTTP, also where there is a WebSocket by now. */
    readonly isByHttp?: boolean;
  }
  /** `GET path`, answered with its JSON. `path` begins with `/v1/`. */
  | { readonly op: "get"; readonly path: string };
