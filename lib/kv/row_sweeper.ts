import { waitAtMost } from "../shared/async/deadline.ts";

/** Rows that one commit deletes. */
const MAX_DELETES = 500;
/** Time between two sweeps, so that under load each one deletes many rows. */
const MIN_INTERVAL_MS = 1_000;
/** How long closing waits for a store that does not answer. */
const CLOSE_TIMEOUT_MS = 1_000;

interface Row {
  readonly key: Deno.KvKey;
  /** Milliseconds of `performance.now()`. */
  readonly writtenAt: number;
}

/**
 * Deletes rows some time after they were written. If the store does not answer, or the isolate
 * stops, rows remain until their `expireIn`.
 */
export class RowSweeper {
  readonly #kv: Deno.Kv;
  readonly #lifetimeMs: number;
  /** Oldest first. */
  #rows: Row[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sweeping: Promise<void> | undefined;
  #isClosed = false;

  /** @param lifetimeMs how long a row exists. */
  constructor(kv: Deno.Kv, lifetimeMs: number) {
    this.#kv = kv;
    this.#lifetimeMs = lifetimeMs;
  }

  /** Takes over rows that were just written. */
  add(keys: readonly Deno.KvKey[]): void {
    const writtenAt = performance.now();
    for (const key of keys) this.#rows.push({ key, writtenAt });
    this.#schedule(this.#lifetimeMs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (this.#sweeping !== undefined) await waitAtMost(this.#sweeping, CLOSE_TIMEOUT_MS);
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#sweeping !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sweeping = this.#sweep().finally(() => {
        this.#sweeping = undefined;
        const [oldest] = this.#rows;
        if (oldest === undefined) return;
        const dueMs = oldest.writtenAt + this.#lifetimeMs - performance.now();
        this.#schedule(Math.max(MIN_INTERVAL_MS, dueMs));
      });
    }, delayMs);
  }

  /** Never rejects. */
  async #sweep(): Promise<void> {
    const expired = performance.now() - this.#lifetimeMs;
    while (!this.#isClosed) {
      const due = this.#rows.findIndex(({ writtenAt }) => writtenAt > expired);
      const count = Math.min(due === -1 ? this.#rows.length : due, MAX_DELETES);
      if (count === 0) return;
      const atomic = this.#kv.atomic();
      for (const { key } of this.#rows.splice(0, count)) atomic.delete(key);
      try {
        await atomic.commit();
      } catch {
        return; // the rows expire
      }
    }
  }
}
