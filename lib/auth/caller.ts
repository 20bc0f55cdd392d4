import type { Authority } from "./authority.ts";

/** The sender of a request. */
export interface Requester {
  /** Undefined if the request has no credential and anonymous access is off. */
  readonly authority: Authority | undefined;
  /** The IP address as limits count it; "" if it is unknown, and then it is not counted. */
  readonly ip: string;
}

/** A requester with an authority: its credential's, or that of anonymous access. */
export interface Caller extends Requester {
  readonly authority: Authority;
}
