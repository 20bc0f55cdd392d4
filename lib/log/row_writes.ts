import { retryLocked } from "../kv/commit_retry.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import { keySize, valueSize } from "../kv/value_size.ts";

/** Bytes of the values and the keys of one commit. The rest is for what is estimated too low. */
const MAX_COMMIT_BYTES = KV_LIMITS.atomicBytes / 2;
const MAX_COMMIT_KEY_BYTES = KV_LIMITS.atomicKeyBytes / 2;

/**
 * Writes rows in the order in which they are given, in commits as large as the store allows. Only for
 * rows that nobody else writes: nothing is checked.
 */
export class RowWrites {
  readonly #kv: Deno.Kv;
  readonly #commit: (atomic: Deno.AtomicOperation) => Promise<unknown>;
  #atomic: Deno.AtomicOperation;
  #bytes = 0;
  #keyBytes = 0;
  #mutations = 0;

  /** @param commit rejects if the rows must not be written. @default only commits */
  constructor(
    kv: Deno.Kv,
    commit: (atomic: Deno.AtomicOperation) => Promise<unknown> = (atomic) =>
      retryLocked(() => atomic.commit()),
  ) {
    this.#kv = kv;
    this.#commit = commit;
    this.#atomic = kv.atomic();
  }

  async set(key: Deno.KvKey, value: unknown): Promise<void> {
    await this.#makeRoom(keySize(key), valueSize(value, KV_LIMITS.valueBytes));
    this.#atomic.set(key, value);
  }

  async delete(key: Deno.KvKey): Promise<void> {
    await this.#makeRoom(keySize(key), 0);
    this.#atomic.delete(key);
  }

  async flush(): Promise<void> {
    if (this.#mutations === 0) return;
    await this.#commit(this.#atomic);
    this.#atomic = this.#kv.atomic();
    this.#bytes = 0;
    this.#keyBytes = 0;
    this.#mutations = 0;
  }

  async #makeRoom(keyBytes: number, bytes: number): Promise<void> {
    const fits = this.#mutations < KV_LIMITS.atomicMutations &&
      this.#keyBytes + keyBytes <= MAX_COMMIT_KEY_BYTES &&
      this.#bytes + keyBytes + bytes <= MAX_COMMIT_BYTES;
    if (!fits) await this.flush();
    this.#mutations++;
    this.#keyBytes += keyBytes;
    this.#bytes += keyBytes + bytes;
  }
}
