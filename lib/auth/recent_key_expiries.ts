import type { Grant } from "./authority.ts";

/** How long an expiry is kept, in ms: longer than a request takes to arrive. */
const KEPT_MS = 60_000;

/**
 * The expiries of API keys that changed recently. Guards against a request that was authenticated
 * by a key before the change and is still running after the new expiry.
 */
export class RecentKeyExpiries {
  /** By the key's id, in the order of changes. Times are milliseconds since 1970. */
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
    this.#expiries.set(id, { expiresAt, keptUntil: now + KEPT_MS });
  }

  /** Returns milliseconds since 1970; Infinity if the grant's key has not changed recently. */
  expiryOf({ kind, keyId }: Grant): number {
    if (kind !== "key" || keyId === undefined) return Infinity;
    return this.#expiries.get(keyId)?.expiresAt ?? Infinity;
  }
}
