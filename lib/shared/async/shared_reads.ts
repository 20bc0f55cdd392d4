/**
 * Shares reads of the same key among callers. Calls that come while a read is under way share the
 * next one, so each call gets what was there at some time after it, and many calls at once cost one
 * or two reads.
 */
export class SharedReads<K, V> {
  readonly #read: (key: K) => Promise<V>;
  /** Reads that have not started yet: further calls join them. */
  readonly #next = new Map<K, Promise<V>>();
  /** Resolve when the read under way has ended. */
  readonly #running = new Map<K, Promise<void>>();

  /** @param read must end, since the next read of the key waits for it. */
  constructor(read: (key: K) => Promise<V>) {
    this.#read = read;
  }

  /** Returns the result of a read that starts after the call, or rejects as that read does. */
  get(key: K): Promise<V> {
    const known = this.#next.get(key);
    if (known !== undefined) return known;
    const next = this.#readNext(key);
    this.#next.set(key, next);
    return next;
  }

  async #readNext(key: K): Promise<V> {
    await this.#running.get(key); // or the end of this microtask, for calls in the same turn
    this.#next.delete(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#running.set(key, promise);
    try {
      return await this.#read(key);
    } finally {
      this.#running.delete(key);
      resolve();
    }
  }
}
