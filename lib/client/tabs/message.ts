import type { ConnectionState } from "../core/state.ts";
import type { Call, FeedListener } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { WeirError } from "../core/weir_error.ts";

/** What the tabs of one name say to each other. All hear all; each takes what is for it. */
export type Message =
  /** Who leads? */
  | { readonly kind: "hello"; readonly tab: string }
  /** Who says it leads, since when is its name, and that is the state of its connection. */
  | { readonly kind: "lead"; readonly reign: string; readonly state: PlainState }
  /** To the leader: tell me the channel's events behind `after`. */
  | {
    readonly kind: "read";
    readonly tab: string;
    readonly id: string;
    readonly channel: string;
    readonly after: string;
  }
  | { readonly kind: "stop"; readonly id: string }
  /** To those who read by these ids: what they are told, and where they stand then. */
  | {
    readonly kind: "told";
    readonly ids: readonly string[];
    readonly position: string | undefined;
    readonly news: News;
  }
  | { readonly kind: "call"; readonly tab: string; readonly id: string; readonly call: Call }
  | {
    readonly kind: "answer";
    readonly id: string;
    readonly answer?: JsonObject;
    readonly error?: PlainError;
  };

/** A method of a feed's listener, and its arguments. */
export type News =
  | { [K in Exclude<keyof FeedListener, "ended">]: [K, ...Parameters<FeedListener[K]>] }[
    Exclude<keyof FeedListener, "ended">
  ]
  | ["ended", PlainError];

/** A WeirError as `{ ...error }`: of errors only the message crosses to another tab. */
export type PlainError = Pick<WeirError, "code" | "detail" | "status" | "retryAfter" | "index">;

type Reconnecting = Extract<ConnectionState, { readonly status: "reconnecting" }>;

/** Of a connection that isn't closed: a leader whose is leads no longer. */
export type PlainState =
  | Exclude<ConnectionState, { readonly status: "reconnecting" | "closed" }>
  | (Omit<Reconnecting, "error"> & { readonly error: PlainError });
