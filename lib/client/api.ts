/** What an application sees of the client. `connect()` (client.ts) gives a {@link Weir}. */

import type { EphemeralEvent, Gap, WeirEvent } from "./core/event.ts";
import type { Link } from "./core/link.ts";
import type { Observable } from "./core/observable.ts";
import type { ConnectionState, TransportName } from "./core/state.ts";
import type { WeirError } from "./core/weir_error.ts";

export type { EphemeralEvent, Gap, WeirEvent } from "./core/event.ts";
export type { Observable } from "./core/observable.ts";
export { type ConnectionState, type TransportName, TRANSPORTS } from "./core/state.ts";

/** A token (JWT) or an API key; or a ticket, which is good for one connection. */
export type Credential = string | { readonly token: string } | { readonly ticket: string };

export interface ConnectOptions {
  /**
   * Gives the credential: asked for when there is none, before one expires, and when the server has
   * refused it. Throwing closes the client with the error where none was accepted yet, or where it is
   * a WeirError `auth_failed`, which says no for good; else `onError` is told, and it is asked again.
   * Without it requests go out as they are (open mode, anonymous, or the session cookie).
   */
  readonly auth?: (() => Credential | Promise<Credential>) | undefined;
  /** Those that may be used, best first. @default {TRANSPORTS} */
  readonly transports?: readonly TransportName[] | undefined;
  /** Closes the client when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Where cursors are kept between lives of the application. @default nowhere */
  readonly cursors?: CursorStore | undefined;
  /** Publishes that may wait for their answer, and the bytes of their data. */
  readonly outbox?: { readonly events?: number; readonly bytes?: number } | undefined;
  /** Shares one connection with other tabs: `sharedTabs()` of `weir-client/tabs`. */
  readonly tabs?: TabSharing | undefined;
  /**
   * Told what nobody waits for and what ends nothing else: a cursor store that fails
   * (`cursor_store_failed`), presence that was refused while it was kept up, `auth` that fails for
   * now, a publish that is tried again.
   */
  readonly onError?: ((error: WeirError) => void) | undefined;
}

/** The link to the Weir at `base` that tabs share; `open` gives the one that it goes by. */
export type TabSharing = (base: URL, open: () => Link) => Link;

/** Cursors by channel. What it throws or rejects with ends nothing: `onError` of connect is told. */
export interface CursorStore {
  get(channel: string): string | undefined | Promise<string | undefined>;
  set(channel: string, cursor: string): void | Promise<void>;
}

export interface Weir extends AsyncDisposable {
  /** What the connection does at the moment. */
  readonly state: Observable<ConnectionState>;
  /**
   * The channel's events after `after`, each once and in order, over whatever transport works.
   * Gaps go to `onGap`, or where there is none stand between the events: then what is read is an
   * event only where its `kind` says so.
   */
  subscribe<T = unknown>(
    channel: string,
    options: SubscribeOptions<T> & { readonly onGap: GapDecision },
  ): Subscription<WeirEvent<T>>;
  subscribe<T = unknown>(
    channel: string,
    options?: SubscribeOptions<T>,
  ): Subscription<WeirEvent<T> | Gap>;
  /** The same by callbacks, until `signal` aborts or the answer is closed. */
  listen<T = unknown>(channel: string, options: ListenOptions<T>): Listening;
  /**
   * Resolves once the event is durable. While there is no connection it waits in the outbox, and
   * goes out once, in order.
   *
   * @throws {WeirError} `outbox_full`, and what the server refuses it with
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /** Events before `before` (an offset; none: the newest), oldest first. */
  history<T = unknown>(channel: string, options?: HistoryOptions<T>): Promise<History<T>>;
  presence<T = unknown>(channel: string): Presence<T>;
  /**
   * Ends all subscriptions. What waits in the outbox is refused. Resolves when connections are closed
   * and cursors written, or after a second for each.
   */
  close(): Promise<void>;
}

/** Waited for, as `onEvent`. `"throw"` ends the subscription with a {@link WeirError} `gap`. */
export type GapDecision = ((gap: Gap) => unknown) | "throw";

export interface SubscribeOptions<T> {
  /** A cursor, `earliest` or `latest`. @default the kept cursor, if there is a store, else latest */
  readonly after?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Checks and types the data (Zod, or any other of https://standardschema.dev). */
  readonly schema?: StandardSchema<T> | undefined;
  readonly onGap?: GapDecision | undefined;
  readonly onEphemeral?: ((event: EphemeralEvent) => void) | undefined;
}

export interface ListenOptions<T> extends SubscribeOptions<T> {
  /** The next comes when it has returned, or what it gave has resolved. */
  readonly onEvent: (event: WeirEvent<T>, cursor: string) => unknown;
  /** A gap can't be overlooked: this one is required. */
  readonly onGap: GapDecision;
  /** Told why the subscription has ended, unless `signal` or `close()` ended it. */
  readonly onError?: ((error: WeirError) => void) | undefined;
  /** Reading has begun, or begun anew after a reconnect: behind `cursor`. */
  readonly onStart?: ((cursor: string) => void) | undefined;
}

/**
 * Ends by `break`, by `close()`, by its signal, or by throwing a {@link WeirError}. Can be read once.
 */
export interface Subscription<Item> extends AsyncIterable<Item> {
  /** Behind the last item that was read; give it back as `after`. Undefined before reading began. */
  readonly cursor: string | undefined;
  /** Who waits for the next item is told that there is none. */
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
  /** Seconds that the event is worth reading. */
  readonly ttl?: number | undefined;
  /** Delivered to who is there now and never stored. It does not wait for a connection. */
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
  /** Whether nothing earlier can be had. */
  readonly isComplete: boolean;
  /** Give it back as `before` for the page in front of this one. */
  readonly before: string | undefined;
  /** Behind the last event: where a subscription goes on without a hole. */
  readonly cursor: string;
}

export interface EnterOptions {
  readonly member?: string | undefined;
  /** Ends the wait to be let in, and leaves. */
  readonly signal?: AbortSignal | undefined;
}

/** Who is in a channel. */
export interface Presence<T = unknown> {
  /** Kept up to date while someone listens to it. In the order in which they came. */
  readonly members: Observable<readonly Member<T>[]>;
  /**
   * Is there from now on, again after each reconnect, until `leave()`. With other data it is an
   * update.
   *
   * @throws {WeirError}
   */
  enter(data?: T, options?: EnterOptions): Promise<void>;
  /** The last one to leave takes the member out: several presences of a client may be the same. */
  leave(): Promise<void>;
}

export interface Member<T = unknown> {
  readonly member: string;
  readonly data: T;
  /** RFC 3339, UTC: when the member came. */
  readonly since: string;
}

/** What Weir asks of a schema: https://standardschema.dev, version 1. */
export interface StandardSchema<T> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Outcome<T> | Promise<Outcome<T>>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}

type Outcome<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };
