/**
 * A histogram of durations: `[bucket, count, bucket, count, …]` with rising buckets. Each bucket
 * ends 9 % (2^(1/8)) above the one before it. Unlike percentiles, histograms of several isolates and
 * times can be added.
 */
export type Buckets = readonly number[];

/** Shorter durations count as this. */
export const SHORTEST_MS = 0.01;
/** Buckets from a duration to its double. */
export const PER_DOUBLING = 8;
/** The last bucket, for durations from about 84 s. */
const LAST_BUCKET = 23 * PER_DOUBLING;

/** Returns the bucket of a duration. */
export function bucketOf(durationMs: number): number {
  if (!(durationMs > SHORTEST_MS)) return 0;
  return Math.min(LAST_BUCKET, Math.ceil(Math.log2(durationMs / SHORTEST_MS) * PER_DOUBLING));
}

/**
 * Returns the milliseconds that stand for a bucket. Durations in it differ by at most 4.5 %, except
 * in the first and last bucket.
 */
export function durationOf(bucket: number): number {
  return bucket === 0 ? SHORTEST_MS : SHORTEST_MS * 2 ** ((bucket - 0.5) / PER_DOUBLING);
}

/** What a {@link Histogram} has counted since it was made. */
export interface HistogramTotals {
  /** The number of durations by bucket, zeros included. */
  readonly counts: Float64Array;
  readonly sumMs: number;
}

/** Counts durations. */
export class Histogram {
  readonly #counts = new Float64Array(LAST_BUCKET + 1);
  /** `#counts` at the last call of {@link take}. */
  readonly #taken = new Float64Array(LAST_BUCKET + 1);
  #sumMs = 0;
  #isTaken = true;

  record(durationMs: number, count = 1): void {
    const bucket = bucketOf(durationMs);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
    this.#sumMs += durationMs * count;
    this.#isTaken = false;
  }

  /** Adds the counts of another histogram, and not the sum of its durations. */
  add(buckets: Buckets): void {
    for (let at = 0; at + 1 < buckets.length; at += 2) {
      const bucket = Math.min(LAST_BUCKET, buckets[at] ?? 0);
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + (buckets[at + 1] ?? 0);
      this.#isTaken = false;
    }
  }

  /** Returns what was counted since the last call. */
  take(): Buckets {
    if (this.#isTaken) return [];
    const buckets: number[] = [];
    this.#counts.forEach((count, bucket) => {
      const added = count - (this.#taken[bucket] ?? 0);
      if (added > 0) buckets.push(bucket, added);
    });
    this.#taken.set(this.#counts);
    this.#isTaken = true;
    return buckets;
  }

  /** Returns a copy of all that was counted. */
  totals(): HistogramTotals {
    return { counts: this.#counts.slice(), sumMs: this.#sumMs };
  }
}

/**
 * Returns for each quantile (0–1) the milliseconds that this share of the durations does not exceed.
 * Returns nothing for an empty histogram.
 */
export function quantiles(buckets: Buckets, wanted: readonly number[]): readonly number[] {
  let total = 0;
  for (let at = 1; at < buckets.length; at += 2) total += buckets[at] ?? 0;
  if (total === 0) return [];
  return wanted.map((quantile) => {
    // The nearest rank, minus rounding errors: 0.07 * 100 is more than 7.
    const rank = Math.max(1, Math.ceil(quantile * total - 1e-9));
    let below = 0;
    for (let at = 0; at < buckets.length; at += 2) {
      below += buckets[at + 1] ?? 0;
      if (below >= rank) return durationOf(buckets[at] ?? 0);
    }
    return durationOf(LAST_BUCKET);
  });
}
