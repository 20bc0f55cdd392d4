import type { Authority, Grant } from "./authority.ts";

/** Met: a million tokens that fill memory. */
export const MAX_VERIFIED = 10_000;
/** What is left when some have to go, so that looking for them is seldom. */
const LEFT = 0.75 * MAX_VERIFIED;
/** How long a verified API key is taken for granted, in ms: its row in the store is the truth. */
const KEY_TRUST_MS = 60_000;

interface Verified {
  readonly authority: Authority;
  /** Milliseconds since 1970. */
  readonly until: number;
  /** By a clock that ticks at each use. */
  usedAt: number;
}

/** What credentials that were verified allow, until they end. Those used last are kept. */
export class CredentialCache {
  /** By the credential. */
  readonly #verified = new Map<string, Verified>();
  readonly #now: () => number;
  #clock = 0;

  /** @param now milliseconds since 1970. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  get(credential: string): Authority | undefined {
    const known = this.#verified.get(credential);
    if (known === undefined) return undefined;
    if (this.#now() >= known.until) {
      this.#verified.delete(credential);
      return undefined;
    }
    known.usedAt = this.#clock++;
    return known.authority;
  }

  add(credential: string, authority: Authority): void {
    const { kind, expiresAt = Infinity } = authority.grant;
    const trusted = kind === "key" ? this.#now() + KEY_TRUST_MS : Infinity;
    const until = Math.min(expiresAt, trusted);
    this.#verified.set(credential, { authority, until, usedAt: this.#clock++ });
    if (this.#verified.size > MAX_VERIFIED) this.#shrink();
  }

  forget(matches: (grant: Grant) => boolean): void {
    for (const [credential, { authority }] of this.#verified) {
      if (matches(authority.grant)) this.#verified.delete(credential);
    }
  }

  #shrink(): void {
    const oldestFirst = [...this.#verified].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [credential] of oldestFirst) {
      if (this.#verified.size <= LEFT) return;
      this.#verified.delete(credential);
    }
  }
}
