import type { Authority, Grant } from "./authority.ts";

/** Guards against many tokens that fill memory. */
export const MAX_CACHED_CREDENTIALS = 10_000;
/** The size after eviction: low enough that eviction is rare. */
const SIZE_AFTER_EVICTION = 0.75 * MAX_CACHED_CREDENTIALS;
/** How long an API key is cached, in ms, before its row in the store is read again. */
const KEY_TRUST_MS = 60_000;

interface CachedAuthority {
  readonly authority: Authority;
  /** Milliseconds since 1970. */
  readonly until: number;
  /** A counter that grows with each use. */
  usedAt: number;
}

/** Caches the authorities of verified credentials until they expire; evicts the least recently used. */
export class CredentialCache {
  /** By the credential. */
  readonly #cache = new Map<string, CachedAuthority>();
  readonly #now: () => number;
  #clock = 0;

  /** @param now milliseconds since 1970. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  get(credential: string): Authority | undefined {
    const cached = this.#cache.get(credential);
    if (cached === undefined) return undefined;
    if (this.#now() >= cached.until) {
      this.#cache.delete(credential);
      return undefined;
    }
    cached.usedAt = this.#clock++;
    return cached.authority;
  }

  add(credential: string, authority: Authority): void {
    const { kind, expiresAt = Infinity } = authority.grant;
    const trustedUntil = kind === "key" ? this.#now() + KEY_TRUST_MS : Infinity;
    const until = Math.min(expiresAt, trustedUntil);
    this.#cache.set(credential, { authority, until, usedAt: this.#clock++ });
    if (this.#cache.size > MAX_CACHED_CREDENTIALS) this.#shrink();
  }

  forget(matches: (grant: Grant) => boolean): void {
    for (const [credential, { authority }] of this.#cache) {
      if (matches(authority.grant)) this.#cache.delete(credential);
    }
  }

  #shrink(): void {
    const oldestFirst = [...this.#cache].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [credential] of oldestFirst) {
      if (this.#cache.size <= SIZE_AFTER_EVICTION) return;
      this.#cache.delete(credential);
    }
  }
}
