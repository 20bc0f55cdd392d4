import { setImmediate } from "node:timers";
import { KV_LIMITS } from "../kv/limits.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";

interface Asked {
  readonly key: Deno.KvKey;
  readonly entry: PromiseWithResolvers<Deno.KvEntryMaybe<unknown>>;
}

/**
 * Reads rows of the store. Those that are asked for while a read is under way leave together in the
 * next one, each row once whoever asks: a storm of joins costs a few round trips, not some a join.
 */
export class BatchedReads {
  readonly #kv: Deno.Kv;
  /** By their keys. */
  #waiting = new Map<string, Asked>();
  #isReading = false;

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /**
   * The row as it is at some time after the call.
   *
   * @param key of strings without control characters.
   * @throws {Problem} `storage_*`
   */
  async get<T>(key: Deno.KvKey): Promise<Deno.KvEntryMaybe<T>> {
    const name = key.join("\0");
    const asked = this.#waiting.get(name) ?? { key, entry: Promise.withResolvers() };
    this.#waiting.set(name, asked);
    void this.#read();
    const entry = asked.entry.promise as Promise<Deno.KvEntryMaybe<T>>; // of this key
    return await withStoreTimeout(entry);
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    await nextTurn(); // who came in the same one is here by then
    while (this.#waiting.size > 0) {
      const asked = [...this.#waiting.values()];
      this.#waiting = new Map();
      const parts: Promise<void>[] = [];
      for (let at = 0; at < asked.length; at += KV_LIMITS.getMany) {
        parts.push(this.#readPart(asked.slice(at, at + KV_LIMITS.getMany)));
      }
      await Promise.all(parts);
    }
    this.#isReading = false;
  }

  /** Never fails, nor takes longer than its time: who asked is told. */
  async #readPart(asked: readonly Asked[]): Promise<void> {
    try {
      const read = this.#kv.getMany<unknown[]>(asked.map(({ key }) => key));
      const entries = await withStoreTimeout(read);
      entries.forEach((entry, i) => asked[i]?.entry.resolve(entry));
    } catch (cause) {
      for (const { entry } of asked) entry.reject(cause);
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
