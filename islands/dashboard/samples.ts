import type { Sample } from "../../lib/shared/figures.ts";

/** A sample and the time that it is about, in ms since 1970: from `start` up to `end`. */
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
  /** By their end, each end once. */
  readonly samples: readonly TimedSample[];
}

interface StoredSamples extends IsolateSamples {
  readonly samples: TimedSample[];
}

/** How far behind the others an isolate's last sample is when it counts as gone, in ms. */
const GONE_MS = 5_000;

/**
 * The samples that the page has, by isolate and by their own time, in whatever order and however
 * often they come.
 */
export class Samples {
  readonly #isolates = new Map<string, StoredSamples>();
  #last = -Infinity;

  /** The end of the newest sample, in ms since 1970; `-Infinity` where there is none. */
  get last(): number {
    return this.#last;
  }

  /** The start of the oldest sample; `Infinity` where there is none. */
  get first(): number {
    return Math.min(...this.all().map(({ samples: [first] }) => first?.start ?? Infinity));
  }

  /** Up to where every isolate that is still there has said what it did. */
  get complete(): number {
    const ends = this.all().map(({ samples }) => samples.at(-1)?.end ?? -Infinity)
      .filter((end) => end > this.#last - GONE_MS);
    return ends.length === 0 ? -Infinity : Math.min(...ends);
  }

  /** In the order in which they started. */
  all(): readonly IsolateSamples[] {
    return [...this.#isolates.values()].sort((a, b) => a.started - b.started);
  }

  /** Whether the isolate was there at the end of what is complete. */
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

  /** Forgets what ended before `time`. */
  forgetBefore(time: number): void {
    for (const [isolate, { samples }] of this.#isolates) {
      samples.splice(0, indexAfter(samples, time));
      if (samples.length === 0) this.#isolates.delete(isolate);
    }
  }
}

/** The place behind all samples that end at `time` or before. */
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
