import type { Grant } from "./authority.ts";

/** How long an end is remembered, in ms: longer than a request takes to be sent. */
const MEMORY_MS = 60_000;

/**
 * Ends of API keys that were changed lately. Met: a request that was let in by a key as it was, and
 * goes on when the key has ended.
 */
export class RecentKeyExpiries {
  /** By the key's id, the latest last. Times are milliseconds since 1970. */
  readonly #ends = new Map<string, { readonly endsAt: number; readonly keptUntil: number }>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  note(id: string, endsAt: number): void {
    const now = this.#now();
    for (const [old, { keptUntil }] of this.#ends) {
      if (keptUntil > now) break;
      this.#ends.delete(old);
    }
    this.#ends.delete(id);
    this.#ends.set(id, { endsAt, keptUntil: now + MEMORY_MS });
  }

  /** Milliseconds since 1970; infinite where nothing was noted. */
  endOf({ kind, keyId }: Grant): number {
    if (kind !== "key" || keyId === undefined) return Infinity;
    return this.#ends.get(keyId)?.endsAt ?? Infinity;
  }
}
