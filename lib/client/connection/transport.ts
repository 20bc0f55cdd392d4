import type { Channels } from "./channels.ts";
import type { Credentials } from "./credentials.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { ObservableValue } from "../core/observable.ts";
import type { Platform } from "../core/platform.ts";
import type { WeirError } from "../core/weir_error.ts";

/** How long one call may take, in ms. */
export const CALL_TIMEOUT_MS = 30_000;

/** What all transports of a connection share. */
export interface ConnectionContext {
  readonly platform: Platform;
  /** Of the Weir; ends with a slash. */
  readonly base: URL;
  readonly credentials: Credentials;
  readonly channels: Channels;
  /** Milliseconds within which something comes from the server; as it said last. */
  readonly timing: { heartbeatMs: number };
  /** @see {@link import("../core/link.ts").Link.left} */
  readonly left: ObservableValue<JsonObject>;
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal;
  /** Told what passes, and shows nowhere else. */
  report(error: WeirError): void;
  /** What goes on for a moment after the end, so that closing can wait for it. */
  release(work: Promise<unknown>): void;
}

/** What one transport has of its connection. */
export interface TransportHost extends ConnectionContext {
  /** Aborts when the transport is closed, also while it opens. */
  readonly signal: AbortSignal;
  /**
   * The transport has ended by itself. Later calls count for nothing.
   *
   * @param isGoodbye the server said so.
   */
  down(error: WeirError, isGoodbye?: boolean): void;
}

export type SendRequest = (message: JsonObject, signal?: AbortSignal) => Promise<JsonObject>;

/** A live way to read the channels. */
export interface Transport {
  /** The channels to read, or their positions, have changed. */
  update(): void;
  /** Looks at once whether it is alive: the machine has slept, or somebody came back. */
  check(): void;
  /** One message and its answer, where the transport goes both ways. @throws {WeirError} */
  readonly request?: SendRequest;
}

/**
 * Answers once the transport has proved that it works: the server has said something over it.
 *
 * @throws {WeirError}
 */
export type OpenTransport = (host: TransportHost) => Promise<Transport>;

/** @param path begins with `/v1/`; the base may have a path of its own. */
export function urlOf(base: URL, path: string): URL {
  return new URL(`.${path}`, base);
}
