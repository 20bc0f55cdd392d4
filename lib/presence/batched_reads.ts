import { setImmediate } from "node:timers";
import { KV_LIMITS } from "../kv/limits.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";

/**
 * Rows whose reads start in one turn of the event loop. Guards against the joins of thousands of
 * clients, which would all continue in the turn in which their rows are there.
 */
export const ROWS_PER_TURN = 200;

interface PendingRead {
  readonly key: Deno.KvKey;
  readonly entry: PromiseWithResolvers<Deno.KvEntryMaybe<unknown>>;
}

/**
 * Reads rows of the store in batches. Reads that are requested while a batch is under way form the
 * next batch, in which each row is read once. So a burst of joins costs a few round trips instead
 * of some for each join.
 */
export class BatchedReads {
  readonly #kv: Deno.Kv;
  /** By key. */
  #pending = new Map<string, PendingRead>();
  #isReading = false;

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /**
   * Returns the row as it is at some time after the call.
   *
   * @param key consists of strings without control characters.
   * @throws {Problem} `storage_*`
   */
  async get<T>(key: Deno.KvKey): Promise<Deno.KvEntryMaybe<T>> {
    const id = key.join("\0");
    const read = this.#pending.get(id) ?? { key, entry: Promise.withResolvers() };
    this.#pending.set(id, read);
    void this.#readPending();
    const entry = read.entry.promise as Promise<Deno.KvEntryMaybe<T>>; // the key determines T
    return await withStoreTimeout(entry);
  }

  async #readPending(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    await nextTurn(); // gathers all reads of this turn
    while (this.#pending.size > 0) {
      const reads = [...this.#pending.values()];
      this.#pending = new Map();
      const parts: Promise<void>[] = [];
      for (let start = 0; start < reads.length; start += KV_LIMITS.getMany) {
        if (start > 0 && start % ROWS_PER_TURN === 0) await nextTurn();
        parts.push(this.#readPart(reads.slice(start, start + KV_LIMITS.getMany)));
      }
      await Promise.all(parts);
    }
    this.#isReading = false;
  }

  /** Reads what fits into one call. Never rejects: each read gets its own result or error. */
  async #readPart(reads: readonly PendingRead[]): Promise<void> {
    try {
      const read = this.#kv.getMany<unknown[]>(reads.map(({ key }) => key));
      const entries = await withStoreTimeout(read);
      entries.forEach((entry, i) => reads[i]?.entry.resolve(entry));
    } catch (cause) {
      for (const { entry } of reads) entry.reject(cause);
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
