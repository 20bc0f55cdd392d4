/** The types of the client's interface. `connect()` (client.ts) returns a {@link Weir}. */

import type { EphemeralEvent, Gap, WeirEvent } from "./core/event.ts";
import type { Link } from "./core/link.ts";
import type { Observable } from "./core/observable.ts";
import type { ConnectionState, TransportName } from "./core/state.ts";
import type { WeirError } from "./core/weir_error.ts";

export type { EphemeralEvent, Gap, WeirEvent } from "./core/event.ts";
export type { Observable } from "./core/observable.ts";
export { type ConnectionState, type TransportName, TRANSPORTS } from "./core/state.ts";

/** A token (JWT) or an API key, or a ticket, which can be used once. */
export type Credential = string | { readonly token: string } | { readonly ticket: string };

export interface ConnectOptions {
  /**
   * Returns the credential. Called when one is needed, before the current one expires, and after
   * the server has refused it. While the client has a token, errors of `auth` go to `onError` and
   * the token is used until it expires. Without one, the client closes with `auth_failed` if `auth`
   * throws a WeirError `auth_failed`, or throws anything else before the server has accepted a
   * credential. A TypeError (`fetch` without a network) and a timeout of 30 s never close it: they
   * go to `onError`, and `auth` is called again. Without `auth` the client sends no credential of
   * its own: open mode, anonymous access, or a session cookie.
   */
  readonly auth?: (() => Credential | Promise<Credential>) | undefined;
  /** Transports to use, best first. @default {TRANSPORTS} */
  readonly transports?: readonly TransportName[] | undefined;
  /** Closes the client when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Stores cursors, so that subscriptions continue after a restart. @default undefined */
  readonly cursors?: CursorStore | undefined;
  /**
   * Limits for pending publishes: how many, and bytes of their JSON.
   *
   * @default { events: 1_000, bytes: 4 * 1024 ** 2 }
   */
  readonly outbox?: { readonly events?: number; readonly bytes?: number } | undefined;
  /** Shares one connection with other tabs: `sharedTabs()` of `weir-client/tabs`. */
  readonly tabs?: TabSharing | undefined;
  /**
   * Receives errors that no call returns and that end nothing: a failing cursor store
   * (`cursor_store_failed`), a presence that the server ended, a temporary failure of `auth`, a
   * publish that is retried, and once that there is no connection 5 s after a failure.
   */
  readonly onError?: ((error: WeirError) => void) | undefined;
}

/** Returns the link that tabs share to the server at `base`. `open` opens a connection to it. */
export type TabSharing = (base: URL, open: () => Link) => Link;

/** Stores a cursor per channel. Its errors go to `onError` of `connect()` and end nothing. */
export interface CursorStore {
  get(channel: string): string | undefined | Promise<string | undefined>;
  set(channel: string, cursor: string): void | Promise<void>;
}

export interface Weir extends AsyncDisposable {
  /** The connection, for the other entries of the package. @internal */
  readonly link: Link;
  /** The state of the connection. */
  readonly state: Observable<ConnectionState>;
  /**
   * Reads the channel's events after `after`, each once and in order, over any transport that works.
   * Gaps go to `onGap`. Without `onGap` they are among the items: check `kind`.
   */
  subscribe<T = unknown>(
    channel: string,
    options: SubscribeOptions<T> & { readonly onGap: GapDecision },
  ): Subscription<WeirEvent<T>>;
  subscribe<T = unknown>(
    channel: string,
    options?: SubscribeOptions<T>,
  ): Subscription<WeirEvent<T> | Gap>;
  /** Calls back for each event, until `signal` aborts or the result is closed. */
  listen<T = unknown>(channel: string, options: ListenOptions<T>): Listening;
  /**
   * Publishes an event and resolves once it is durable. Without a connection it waits in the outbox.
   * Each event is stored once, in the order of the calls.
   *
   * @throws {WeirError} `outbox_full`, or the server's refusal.
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /** Reads the events before `before` (an offset), or the newest ones. Oldest first. */
  history<T = unknown>(channel: string, options?: HistoryOptions<T>): Promise<History<T>>;
  presence<T = unknown>(channel: string): Presence<T>;
  /**
   * Ends all subscriptions and rejects pending publishes. Resolves when connections are closed and
   * cursors are written. It waits at most a second for each of the two.
   */
  close(): Promise<void>;
}

/**
 * Handles a gap. The next item waits for the returned promise. `"throw"` ends the subscription with
 * a {@link WeirError} `gap`.
 */
export type GapDecision = ((gap: Gap) => unknown) | "throw";

export interface SubscribeOptions<T> {
  /** A cursor, `earliest` or `latest`. @default the stored cursor, or `latest` */
  readonly after?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Validates and types the data (Zod, or another of https://standardschema.dev). */
  readonly schema?: StandardSchema<T> | undefined;
  readonly onGap?: GapDecision | undefined;
  readonly onEphemeral?: ((event: EphemeralEvent) => void) | undefined;
}

export interface ListenOptions<T> extends SubscribeOptions<T> {
  /** Called for each event. The next one waits for the returned promise. */
  readonly onEvent: (event: WeirEvent<T>, cursor: string) => unknown;
  /** Required, so that gaps are always handled. */
  readonly onGap: GapDecision;
  /** Called with the reason if the subscription ends, unless `signal` or `close()` ended it. */
  readonly onError?: ((error: WeirError) => void) | undefined;
  /** Called when reading begins after `cursor`, and after each reconnect. */
  readonly onStart?: ((cursor: string) => void) | undefined;
}

/**
 * Items of a channel, which can be read once. Ends by `break`, by `close()`, by its signal, or by
 * throwing a {@link WeirError}.
 */
export interface Subscription<Item> extends AsyncIterable<Item> {
  /** The cursor of the last item read, to pass as `after`. Undefined before reading begins. */
  readonly cursor: string | undefined;
  /** Ends the subscription, also while the next item is awaited. */
  close(): void;
}

export interface Listening extends Disposable {
  readonly cursor: string | undefined;
  close(): void;
}

export interface PublishOptions {
  readonly type?: string | undefined;
  /** The idempotency key. @default a random one */
  readonly id?: string | undefined;
  readonly key?: string | undefined;
  /** Time to live, in seconds. */
  readonly ttl?: number | undefined;
  /**
   * The span that publishes it, as a `traceparent` of W3C Trace Context. Readers get it as a member of
   * the event. `traced()` of `weir-client/otel` sets it.
   */
  readonly traceparent?: string | undefined;
  /** Delivers to current subscribers and never stores. It does not wait for a connection. */
  readonly ephemeral?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Published {
  readonly channel: string;
  /** Empty for an ephemeral event. */
  readonly offset: string;
  readonly id: string;
  readonly duplicate: boolean;
}

export interface HistoryOptions<T> {
  readonly before?: string | undefined;
  /** @default 100 */
  readonly limit?: number | undefined;
  readonly schema?: StandardSchema<T> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface History<T> {
  readonly events: readonly WeirEvent<T>[];
  /** Whether there are no earlier events. */
  readonly isComplete: boolean;
  /** Pass it as `before` to read the page before this one. */
  readonly before: string | undefined;
  /** The cursor of the last event. A subscription after it continues without a gap. */
  readonly cursor: string;
}

export interface EnterOptions {
  readonly member?: string | undefined;
  /**
   * Names this session of the member, so that others see it in `Member.sessions` and can address
   * it: 1–64 of `A–Z a–z 0–9 _ -`. It should be random, and must not be used again after
   * `leave()`. @default undefined
   */
  readonly session?: string | undefined;
  /** Stops entering, and leaves. */
  readonly signal?: AbortSignal | undefined;
}

/** The members of a channel. */
export interface Presence<T = unknown> {
  /** Kept up to date while it has a listener. In the order in which the members joined. */
  readonly members: Observable<readonly Member<T>[]>;
  /**
   * Makes this client a member until `leave()`, also after reconnects. Called again, it updates the
   * data.
   *
   * @throws {WeirError}
   */
  enter(data?: T, options?: EnterOptions): Promise<void>;
  /** Leaves. A member that other presences of this client have entered stays until they leave. */
  leave(): Promise<void>;
}

export interface Member<T = unknown> {
  readonly member: string;
  readonly data: T;
  /** When the member joined. RFC 3339, UTC. */
  readonly since: string;
  /** The names of the member's sessions that have one, sorted. Absent if there is none. */
  readonly sessions?: readonly string[];
}

/** The part of https://standardschema.dev, version 1, that Weir uses. */
export interface StandardSchema<T, Input = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<T> | Promise<SchemaResult<T>>;
    readonly types?: { readonly input: Input; readonly output: T } | undefined;
  };
}

type SchemaResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };
