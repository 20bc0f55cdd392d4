import type { TransportName } from "./api.ts";
import type { Channels } from "./channels.ts";
import type { Credentials } from "./credentials.ts";
import type { Answer, Call } from "./link.ts";
import type { Value } from "./observable.ts";
import type { Platform } from "./platform.ts";
import type { WeirError } from "./weir_error.ts";

/** How long one call may take, in ms. */
export const CALL_LIMIT_MS = 30_000;

/** What all transports of a connection share. */
export interface Shared {
  readonly platform: Platform;
  /** Of the Weir; ends with a slash. */
  readonly base: URL;
  readonly credentials: Credentials;
  readonly channels: Channels;
  /** Milliseconds within which something comes from the server; as it said last. */
  readonly timing: { heartbeat: number };
  /** @see {@link import("./link.ts").Link.left} */
  readonly left: Value<Answer>;
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal;
  /** Told what passes, and shows nowhere else. */
  report(error: WeirError): void;
  /** What goes on for a moment after the end, so that closing can wait for it. */
  release(work: Promise<unknown>): void;
}

/** What one transport has of its connection. */
export interface Host extends Shared {
  /** Aborts when the transport is closed, also while it opens. */
  readonly signal: AbortSignal;
  /**
   * The transport has ended by itself. Later calls count for nothing.
   *
   * @param isGoodbye the server said so.
   */
  down(error: WeirError, isGoodbye?: boolean): void;
}

export type Ask = (message: Answer, signal?: AbortSignal) => Promise<Answer>;

/** A live way to read the channels. */
export interface Transport {
  /** The channels to read, or their positions, have changed. */
  sync(): void;
  /** Looks at once whether it is alive: the machine has slept, or somebody came back. */
  check(): void;
  /** One message and its answer, where the transport goes both ways. @throws {WeirError} */
  readonly ask?: Ask;
}

/**
 * Answers once the transport has proved that it works: the server has said something over it.
 *
 * @throws {WeirError}
 */
export type OpenTransport = (host: Host) => Promise<Transport>;

/** By what a connection speaks: an application that needs less brings less. */
export interface Ways {
  /** Those that there are, best first. */
  readonly transports: Readonly<Partial<Record<TransportName, OpenTransport>>>;
  /**
   * A call's answer.
   *
   * @param session names the client.
   * @param ask of the transport that is open, if it has that.
   * @throws {WeirError}
   */
  call(
    shared: Shared,
    call: Call,
    session: string,
    signal?: AbortSignal,
    ask?: Ask,
  ): Promise<Answer>;
  /** Looks for a better transport. None: there is one. @see {@link import("./better.ts").better} */
  readonly better?: typeof import("./better.ts").better;
}

/** @param path begins with `/v1/`; the base may have a path of its own. */
export function urlOf(base: URL, path: string): URL {
  return new URL(`.${path}`, base);
}
