import type { TransportName } from "./api.ts";
import type { Channels } from "./channels.ts";
import type { Credentials } from "./credentials.ts";
import type { Answer, Call } from "./link.ts";
import type { Platform } from "./platform.ts";
import type { WeirError } from "./weir_error.ts";

/** What all transports of a connection share. */
export interface Shared {
  readonly platform: Platform;
  /** Of the Weir; ends with a slash. */
  readonly base: URL;
  readonly credentials: Credentials;
  readonly channels: Channels;
  /** Milliseconds within which something comes from the server; as it said last. */
  readonly timing: { heartbeat: number };
  /** What goes on for a moment after the end, so that closing can wait for it. */
  release(work: Promise<unknown>): void;
}

/** What one transport has of its connection. */
export interface Host extends Shared {
  /** Aborts when the transport is closed, also while it opens. */
  readonly signal: AbortSignal;
  /** The transport has ended by itself. Later calls count for nothing. */
  down(error: WeirError, how?: Down): void;
}

export interface Down {
  /** Milliseconds that the server asks to wait. */
  readonly retry?: number | undefined;
  /** Nothing came any more, or it stopped working: another transport may do better. */
  readonly isSilent?: boolean;
  /** The server said goodbye. */
  readonly isGoodbye?: boolean;
}

/** A live way to read the channels. */
export interface Transport {
  /** The channels to read, or their positions, have changed. */
  sync(): void;
  /** Looks at once whether it is alive: the machine has slept, or somebody came back. */
  check(): void;
  /**
   * The call's answer, where the transport goes both ways; undefined where the call goes better
   * over HTTP.
   *
   * @throws {WeirError}
   */
  call?(call: Call, signal?: AbortSignal): Promise<Answer> | undefined;
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
  /** A call that no transport takes. @param session names the client. @throws {WeirError} */
  call(shared: Shared, call: Call, session: string, signal?: AbortSignal): Promise<Answer>;
}

/** @param path begins with `/v1/`; the base may have a path of its own. */
export function urlOf(base: URL, path: string): URL {
  return new URL(`.${path}`, base);
}
