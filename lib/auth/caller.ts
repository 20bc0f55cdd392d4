import type { Authority } from "./authority.ts";

/** Who asks, and from where. */
export interface Requester {
  /** None: it brought no credential, and anonymous access is off. */
  readonly authority: Authority | undefined;
  /** As limits count it; empty where it isn't known, and then not counted. */
  readonly ip: string;
}

/** A visitor with a credential, or one whom the policy for anonymous access lets in. */
export interface Caller extends Requester {
  readonly authority: Authority;
}
