import type { Grant } from "./authority.ts";

/** How long an end is remembered, in ms: longer than a request takes to be sent. */
const MEMORY_MS = 60_000;

/**
 * Ends of API keys that were changed lately. Met: a request that was let in by a key as it was, and
 * goes on when the key has ended.
 */
export class RecentKeyExpiries {
  /** By the key's id, the latest last. Times are milliseconds since 1970. */
  readonly #expiries = new Map<
    string,
    { readonly expiresAt: number; readonly keptUntil: number }
  >();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  add(id: string, expiresAt: number): void {
    const now = this.#now();
    for (const [old, { keptUntil }] of this.#expiries) {
      if (keptUntil > now) break;
      this.#expiries.delete(old);
    }
    this.#expiries.delete(id);
    this.#expiries.set(id, { expiresAt, keptUntil: now + MEMORY_MS });
  }

  /** Milliseconds since 1970; infinite where nothing was noted. */
  expiryOf({ kind, keyId }: Grant): number {
    if (kind !== "key" || keyId === undefined) return Infinity;
    return this.#expiries.get(keyId)?.expiresAt ?? Infinity;
  }
}
