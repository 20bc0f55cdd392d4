import { formatTime } from "../shared/event.ts";
import { type Sample, SAMPLE_INTERVAL_MS } from "../shared/figures.ts";
import type { SampleCounts } from "./meter.ts";

/** Samples that are kept in memory for who begins to look: two minutes. */
const KEPT = 120;
/** Between two looks at how late timers are, in ms. */
const LOOP_TICK = 100;

/** How the isolate stands at the moment. */
export type SampleGauges = Pick<Sample, "connections" | "subscriptions">;

interface SamplerOptions {
  /** What was counted since the last time. */
  readonly take: () => SampleCounts;
  readonly gauges: () => SampleGauges;
  /** Told how late a timer was, in ms. */
  readonly onDelay: (milliseconds: number) => void;
  readonly onSample: () => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds by a clock that nobody sets. */
  readonly monotonic: () => number;
}

/** Takes a sample each second, and keeps those of the last two minutes. */
export class Sampler implements Disposable {
  readonly #options: SamplerOptions;
  readonly #isolate = crypto.randomUUID().slice(0, 8);
  readonly #started: string;
  readonly #timers: readonly ReturnType<typeof setInterval>[];
  #samples: Sample[] = [];
  /** Samples that were ever taken. */
  #taken = 0;
  #last: number;
  #lastTick: number;

  constructor(options: SamplerOptions) {
    this.#options = options;
    const { now, monotonic } = options;
    this.#started = formatTime(now());
    this.#last = this.#lastTick = monotonic();
    this.#timers = [
      setInterval(() => this.#look(), LOOP_TICK),
      setInterval(() => this.#sample(), SAMPLE_INTERVAL_MS),
    ];
  }

  /** Samples that were ever taken: names the place behind the last one. */
  get taken(): number {
    return this.#taken;
  }

  /** The kept samples behind the place `taken`. */
  after(taken: number): readonly Sample[] {
    const missing = this.#taken - taken;
    return missing <= 0 ? [] : this.#samples.slice(-missing);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #sample(): void {
    const { take, gauges, onSample, now, monotonic } = this.#options;
    const at = monotonic();
    this.#samples.push({
      isolate: this.#isolate,
      started: this.#started,
      at: formatTime(now()),
      seconds: Math.round(at - this.#last) / 1_000,
      ...gauges(),
      ...take(),
    });
    this.#last = at;
    this.#taken++;
    if (this.#samples.length > KEPT) this.#samples.shift();
    onSample();
  }

  #look(): void {
    const tick = this.#options.monotonic();
    this.#options.onDelay(Math.max(0, tick - this.#lastTick - LOOP_TICK));
    this.#lastTick = tick;
  }
}
