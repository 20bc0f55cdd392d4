import type { JsonObject } from "../core/json_object.ts";
import type { ObservableValue } from "../core/observable.ts";
import type { Platform } from "../core/platform.ts";
import type { WeirError } from "../core/weir_error.ts";
import type { Channels } from "./channels.ts";
import type { Credentials } from "./credentials.ts";

/** How long one call may take. */
export const CALL_TIMEOUT_MS = 30_000;

/** What all transports of a connection share. */
export interface ConnectionContext {
  readonly platform: Platform;
  /** URL of the server. Its path ends with a slash. */
  readonly base: URL;
  readonly credentials: Credentials;
  readonly channels: Channels;
  /** The longest silence of a healthy server, as it said last. */
  readonly timing: { heartbeatMs: number };
  /** @see {@link import("../core/link.ts").Link.left} */
  readonly left: ObservableValue<JsonObject>;
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal;
  /** Reports a temporary error that the application cannot see elsewhere. */
  report(error: WeirError): void;
  /** Makes `close()` wait for `work`, which ends soon after the client is closed. */
  release(work: Promise<unknown>): void;
}

/** What a connection gives to one transport. */
export interface TransportHost extends ConnectionContext {
  /** Aborts when the transport is closed, also while it is opening. */
  readonly signal: AbortSignal;
  /**
   * Reports that the transport has ended by itself. Only the first call has an effect.
   *
   * @param isGoodbye whether the server announced the end.
   */
  down(error: WeirError, isGoodbye?: boolean): void;
}

export type SendRequest = (message: JsonObject, signal?: AbortSignal) => Promise<JsonObject>;

/** A connected way to read the channels. */
export interface Transport {
  /**
   * Called when the channels to read, or their positions, have changed. Returns whether the server
   * has accepted all that the transport has to read.
   */
  update(): boolean;
  /** Checks now whether the connection is alive: the machine slept or the user returned. */
  check(): void;
  /** Sends a message and resolves with its answer, if the transport is bidirectional. */
  readonly request?: SendRequest;
}

/**
 * Opens a transport. Resolves once it has proved to work: the server has sent something over it.
 *
 * @throws {WeirError}
 */
export type OpenTransport = (host: TransportHost) => Promise<Transport>;

/** Resolves `path`, which begins with `/v1/`, below `base`, which may have a path of its own. */
export function urlOf(base: URL, path: string): URL {
  return new URL(`.${path}`, base);
}
