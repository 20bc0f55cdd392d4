import type { Sample } from "../../lib/shared/figures.ts";

/** A sample and the time that it covers, from `start` up to `end`, in ms since 1970. */
export interface TimedSample {
  readonly sample: Sample;
  readonly start: number;
  readonly end: number;
}

/** The samples of one isolate. */
export interface IsolateSamples {
  readonly isolate: string;
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Sorted by their end, without duplicates. */
  readonly samples: readonly TimedSample[];
}

interface StoredSamples extends IsolateSamples {
  readonly samples: TimedSample[];
}

/** An isolate counts as stopped if its last sample is this much older than the newest. */
const GONE_MS = 5_000;

/**
 * The page's samples by isolate and time. They can arrive in any order and more than once.
 */
export class Samples {
  readonly #isolates = new Map<string, StoredSamples>();
  #last = -Infinity;

  /** The end of the newest sample in ms since 1970, or `-Infinity` without samples. */
  get last(): number {
    return this.#last;
  }

  /** The start of the oldest sample, or `Infinity` without samples. */
  get first(): number {
    return Math.min(...this.all().map(({ samples: [first] }) => first?.start ?? Infinity));
  }

  /** The time from the oldest to the newest sample in ms. */
  get durationMs(): number {
    return Math.max(0, this.last - this.first);
  }

  /** The time up to which all running isolates have sent their samples. */
  get complete(): number {
    const ends = this.all().map(({ samples }) => samples.at(-1)?.end ?? -Infinity)
      .filter((end) => end > this.#last - GONE_MS);
    return ends.length === 0 ? -Infinity : Math.min(...ends);
  }

  /** Returns the samples of each isolate, in the order in which the isolates started. */
  all(): readonly IsolateSamples[] {
    return [...this.#isolates.values()].sort((a, b) => a.started - b.started);
  }

  /** Tells whether the isolate still runs. */
  isAlive({ samples }: IsolateSamples): boolean {
    return (samples.at(-1)?.end ?? -Infinity) > this.#last - GONE_MS;
  }

  add(sample: Sample): void {
    const end = Date.parse(sample.at);
    const started = Date.parse(sample.started);
    if (Number.isNaN(end) || Number.isNaN(started)) return;
    const { isolate } = sample;
    const kept = this.#isolates.get(isolate) ?? { isolate, started, samples: [] };
    this.#isolates.set(isolate, kept);
    const at = indexAfter(kept.samples, end);
    if (kept.samples[at - 1]?.end === end) return;
    kept.samples.splice(at, 0, { sample, start: end - sample.seconds * 1_000, end });
    this.#last = Math.max(this.#last, end);
  }

  /** Drops samples that ended before `time`. */
  forgetBefore(time: number): void {
    for (const [isolate, { samples }] of this.#isolates) {
      samples.splice(0, indexAfter(samples, time));
      if (samples.length === 0) this.#isolates.delete(isolate);
    }
  }
}

/** Returns the index after all samples that end at `time` or before. */
export function indexAfter(samples: readonly TimedSample[], time: number): number {
  let low = 0;
  let high = samples.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((samples[middle]?.end ?? Infinity) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
