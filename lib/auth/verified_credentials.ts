import type { Authority, Grant } from "./authority.ts";

/** Met: a million tokens that fill memory. */
export const MAX_VERIFIED = 10_000;
/** How long a verified API key is taken for granted, in ms: its row in the store is the truth. */
const KEY_TRUST_MS = 60_000;

interface Verified {
  readonly authority: Authority;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** What credentials that were verified allow, until they end. Those used last are kept. */
export class VerifiedCredentials {
  /** By the credential, the least recently used first. */
  readonly #verified = new Map<string, Verified>();
  readonly #now: () => number;

  /** @param now milliseconds since 1970. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  get(credential: string): Authority | undefined {
    const known = this.#verified.get(credential);
    if (known === undefined) return undefined;
    this.#verified.delete(credential);
    if (this.#now() >= known.until) return undefined;
    this.#verified.set(credential, known);
    return known.authority;
  }

  keep(credential: string, authority: Authority): void {
    const { kind, expiresAt = Infinity } = authority.grant;
    const trusted = kind === "key" ? this.#now() + KEY_TRUST_MS : Infinity;
    this.#verified.delete(credential);
    this.#verified.set(credential, { authority, until: Math.min(expiresAt, trusted) });
    if (this.#verified.size <= MAX_VERIFIED) return;
    for (const oldest of this.#verified.keys()) {
      this.#verified.delete(oldest);
      return;
    }
  }

  forget(matches: (grant: Grant) => boolean): void {
    for (const [credential, { authority }] of this.#verified) {
      if (matches(authority.grant)) this.#verified.delete(credential);
    }
  }
}
