/** The last bucket, for sizes above 2^13. */
const LAST_BUCKET = 14;

/** What a {@link SizeHistogram} has counted. */
export interface SizeTotals {
  /** The number of sizes by bucket. Bucket `n` ends at 2^n, and the last one has no end. */
  readonly counts: Float64Array;
  readonly sum: number;
}

/** Counts sizes, which are whole numbers from 1 on. */
export class SizeHistogram {
  readonly #counts = new Float64Array(LAST_BUCKET + 1);
  #sum = 0;

  record(size: number): void {
    const bucket = Math.min(LAST_BUCKET, 32 - Math.clz32(size - 1));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += size;
  }

  totals(): SizeTotals {
    return { counts: this.#counts.slice(), sum: this.#sum };
  }
}
