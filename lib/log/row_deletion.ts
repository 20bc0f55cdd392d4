import { ConflictError, retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import { getMany } from "./get_many.ts";

/** Rows that one commit deletes at most: publishes wait while the store does it. */
const MAX_ROWS = 500;
/** Bytes of the values that one commit deletes, for the same reason. */
const MAX_FREED_BYTES = 4 * 1024 * 1024;
/** Bytes of the keys of one commit. */
const MAX_KEY_BYTES = KV_LIMITS.atomicKeyBytes - 8_192;

interface RowToDelete {
  readonly key: Deno.KvKey;
  /** The row is left alone if it has changed since. Undefined if it may be any. */
  readonly versionstamp: string | null | undefined;
}

interface RowDeletionOptions {
  readonly kv: Deno.Kv;
  /** Checks that a commit of this store may have. */
  readonly maxChecks: number;
  /** Receives how many bytes a commit has deleted. @default does nothing */
  readonly onFreed?: (bytes: number) => void;
}

/**
 * Deletes rows in the order in which they were added, in commits as large as the store allows.
 * What is added together is deleted only after all that was added before.
 */
export class RowDeletion {
  readonly #options: RowDeletionOptions;
  #rows: RowToDelete[] = [];
  #checks = 0;
  #keyBytes = 0;
  #freedBytes = 0;

  constructor(options: RowDeletionOptions) {
    this.#options = options;
  }

  /** @param bytes size of the row's value, roughly. */
  async add(key: Deno.KvKey, bytes: number): Promise<void> {
    await this.#add({ key, versionstamp: undefined }, bytes);
  }

  /** Adds a row that is left alone if it changes before it is deleted. */
  async addUnchanged({ key, versionstamp }: Deno.KvEntryMaybe<unknown>): Promise<void> {
    await this.#add({ key, versionstamp }, 0);
  }

  /** Resolves when all rows that were added are deleted. */
  async flush(): Promise<void> {
    const { kv, onFreed } = this.#options;
    let rows = this.#rows;
    const freedBytes = this.#freedBytes;
    this.#rows = [];
    this.#checks = 0;
    this.#keyBytes = 0;
    this.#freedBytes = 0;
    if (rows.length === 0) return;
    await retryConflicts(async () => {
      const atomic = kv.atomic();
      for (const { key, versionstamp } of rows) {
        if (versionstamp !== undefined) atomic.check({ key, versionstamp });
        atomic.delete(key);
      }
      const { ok } = await retryLocked(() => atomic.commit());
      if (ok) return;
      rows = await this.#withoutChanged(rows);
      throw new ConflictError();
    }, "Rows to delete are changed all the time.");
    onFreed?.(freedBytes);
  }

  async #add(row: RowToDelete, bytes: number): Promise<void> {
    const checks = row.versionstamp === undefined ? 0 : 1;
    const keyBytes = (1 + checks) * keySize(row.key);
    const fits = this.#rows.length < MAX_ROWS && this.#checks + checks <= this.#options.maxChecks &&
      this.#keyBytes + keyBytes <= MAX_KEY_BYTES &&
      (this.#freedBytes + bytes <= MAX_FREED_BYTES || this.#rows.length === 0);
    if (!fits) await this.flush();
    this.#rows.push(row);
    this.#checks += checks;
    this.#keyBytes += keyBytes;
    this.#freedBytes += bytes;
  }

  async #withoutChanged(rows: readonly RowToDelete[]): Promise<RowToDelete[]> {
    const checked = rows.filter(({ versionstamp }) => versionstamp !== undefined);
    const entries = await getMany(this.#options.kv, checked.map(({ key }) => key));
    const changed = new Set(
      checked.filter(({ versionstamp }, i) => entries[i]?.versionstamp !== versionstamp),
    );
    return rows.filter((row) => !changed.has(row));
  }
}

/** Returns an upper bound of the bytes of a key. */
function keySize(key: Deno.KvKey): number {
  return key.reduce<number>((sum, part) => {
    return sum + (typeof part === "string" ? 3 * part.length + 2 : 10);
  }, 0);
}
