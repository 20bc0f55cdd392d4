import { formatTime } from "../shared/event.ts";
import { type Sample, SAMPLE_INTERVAL_MS } from "../shared/figures.ts";
import type { SampleCounts } from "./meter.ts";

/** Samples kept in memory for the next viewer: two minutes. */
const KEPT_SAMPLES = 120;
/** Between two measurements of how late timers are. */
const DELAY_TICK_MS = 100;

/** The current state of the isolate. */
export type SampleGauges = Pick<Sample, "connections" | "subscriptions">;

interface SamplerOptions {
  /** Returns what was counted since the last call. */
  readonly take: () => SampleCounts;
  readonly gauges: () => SampleGauges;
  /** Receives how late a timer was. */
  readonly onDelay: (delayMs: number) => void;
  readonly onSample: () => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number;
}

/** Takes a sample every second, and keeps those of the last two minutes. */
export class Sampler implements Disposable {
  readonly #options: SamplerOptions;
  readonly #isolate = crypto.randomUUID().slice(0, 8);
  readonly #started: string;
  readonly #timers: readonly ReturnType<typeof setInterval>[];
  #samples: Sample[] = [];
  /** How many samples were ever taken. */
  #taken = 0;
  #last: number;
  #lastTick: number;

  constructor(options: SamplerOptions) {
    this.#options = options;
    const { now, monotonic } = options;
    this.#started = formatTime(now());
    this.#last = this.#lastTick = monotonic();
    this.#timers = [
      setInterval(() => this.#measureDelay(), DELAY_TICK_MS),
      setInterval(() => this.#sample(), SAMPLE_INTERVAL_MS),
    ];
  }

  /** Returns how many samples were ever taken. Pass it to after() to get the later ones. */
  get taken(): number {
    return this.#taken;
  }

  /** Returns the samples that followed when `taken` were taken, as far as they are kept. */
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
    if (this.#samples.length > KEPT_SAMPLES) this.#samples.shift();
    onSample();
  }

  #measureDelay(): void {
    const tick = this.#options.monotonic();
    this.#options.onDelay(Math.max(0, tick - this.#lastTick - DELAY_TICK_MS));
    this.#lastTick = tick;
  }
}
