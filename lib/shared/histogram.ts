/**
 * Durations in milliseconds, counted by size in buckets of which each ends 9 % (2^(1/8)) behind the
 * one before it. Histograms of several isolates and times add up, which percentiles don't.
 */

/** How many values there are of each bucket, buckets rising: `[bucket, count, bucket, count, …]`. */
export type Buckets = readonly number[];

/** All that is shorter counts as this, in ms. */
const SHORTEST = 0.01;
const PER_DOUBLING = 8;
/** The last bucket takes all that is longer, about 84 s. */
const LAST = 23 * PER_DOUBLING;

/** The bucket of a duration. */
export function bucketOf(milliseconds: number): number {
  if (!(milliseconds > SHORTEST)) return 0;
  return Math.min(LAST, Math.ceil(Math.log2(milliseconds / SHORTEST) * PER_DOUBLING));
}

/** What the durations of a bucket are, in ms: each is within 4.5 % of it, but for the two ends. */
export function durationOf(bucket: number): number {
  return bucket === 0 ? SHORTEST : SHORTEST * 2 ** ((bucket - 0.5) / PER_DOUBLING);
}

/** Counts durations. */
export class Histogram {
  readonly #counts = new Float64Array(LAST + 1);
  #isEmpty = true;

  /** @param count how many were of this duration. */
  record(milliseconds: number, count = 1): void {
    const bucket = bucketOf(milliseconds);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
    this.#isEmpty = false;
  }

  add(buckets: Buckets): void {
    for (let at = 0; at + 1 < buckets.length; at += 2) {
      const bucket = Math.min(LAST, buckets[at] ?? 0);
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + (buckets[at + 1] ?? 0);
      this.#isEmpty = false;
    }
  }

  /** What was counted since the last time. */
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

/** Of each quantile (0–1) the duration in ms that so many are not longer than; none of nothing. */
export function quantiles(buckets: Buckets, wanted: readonly number[]): readonly number[] {
  let total = 0;
  for (let at = 1; at < buckets.length; at += 2) total += buckets[at] ?? 0;
  if (total === 0) return [];
  return wanted.map((quantile) => {
    // The nearest rank; a hair less, for 0.07 * 100 is more than 7.
    const rank = Math.max(1, Math.ceil(quantile * total - 1e-9));
    let below = 0;
    for (let at = 0; at < buckets.length; at += 2) {
      below += buckets[at + 1] ?? 0;
      if (below >= rank) return durationOf(buckets[at] ?? 0);
    }
    return durationOf(LAST);
  });
}
