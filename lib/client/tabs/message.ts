import type { JsonObject } from "../core/json_object.ts";
import type { Call, FeedListener } from "../core/link.ts";
import type { ConnectionState } from "../core/state.ts";
import type { WeirError } from "../core/weir_error.ts";

/** A message between the tabs of one name. Every tab receives it, and handles it if addressed. */
export type TabMessage =
  /** Asks who leads. */
  | { readonly kind: "hello"; readonly tab: string }
  /** The leader's state. `term` names the time since it took the lead. */
  | { readonly kind: "lead"; readonly term: string; readonly state: PlainState }
  /** Asks the leader to deliver the channel's events after `after`. */
  | {
    readonly kind: "read";
    readonly tab: string;
    readonly id: string;
    readonly channel: string;
    readonly after: string;
  }
  /** Ends a read. */
  | { readonly kind: "stop"; readonly id: string }
  /** Delivers to the reads with these ids. `position` is where they are afterwards. */
  | {
    readonly kind: "deliver";
    readonly ids: readonly string[];
    readonly position: string | undefined;
    readonly update: FeedUpdate;
  }
  /** Asks the leader to make a call. */
  | { readonly kind: "call"; readonly tab: string; readonly id: string; readonly call: Call }
  | {
    readonly kind: "answer";
    readonly id: string;
    readonly answer?: JsonObject;
    readonly error?: PlainError;
  };

export type TabMessageOf<Kind> = Extract<TabMessage, { kind: Kind }>;

/** A method of a feed's listener, and its arguments. */
export type FeedUpdate =
  | { [K in Exclude<keyof FeedListener, "ended">]: [K, ...Parameters<FeedListener[K]>] }[
    Exclude<keyof FeedListener, "ended">
  ]
  | ["ended", PlainError];

/** A WeirError as `{ ...error }`: structured cloning keeps only the message of an error. */
export type PlainError = Pick<WeirError, "code" | "detail" | "status" | "retryAfter" | "index">;

type Reconnecting = Extract<ConnectionState, { readonly status: "reconnecting" }>;

/** The state of an open connection. A leader whose connection is closed no longer leads. */
type PlainState =
  | Exclude<ConnectionState, { readonly status: "reconnecting" | "closed" }>
  | (Omit<Reconnecting, "error"> & { readonly error: PlainError });
