/**
 * A histogram of durations: `[bucket, count, bucket, count, …]` with rising buckets. Each bucket
 * ends 9 % (2^(1/8)) above the one before it. Unlike percentiles, histograms of several isolates and
 * times can be added.
 */
export type Buckets = readonly number[];

/** Shorter durations count as this. */
const SHORTEST_MS = 0.01;
const PER_DOUBLING = 8;
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

/** Counts durations. */
export class Histogram {
  readonly #counts = new Float64Array(LAST_BUCKET + 1);
  #isEmpty = true;

  record(durationMs: number, count = 1): void {
    const bucket = bucketOf(durationMs);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
    this.#isEmpty = false;
  }

  /** Adds another histogram. */
  add(buckets: Buckets): void {
    for (let at = 0; at + 1 < buckets.length; at += 2) {
      const bucket = Math.min(LAST_BUCKET, buckets[at] ?? 0);
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + (buckets[at + 1] ?? 0);
      this.#isEmpty = false;
    }
  }

  /** Returns what was counted since the last call. */
  take(): Buckets {
    if (this.#isEmpty) return [];
    const buckets: number[] = [];
    this.#counts.forEach((count, bucket) => {
      if (count > 0) buckets.push(bucket, count);
    });
    this.#counts.fill(0);
    this.#isEmpty = true;
    return buckets;
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
