import { residentKb } from "./usage.ts";

const EVERY_MS = 1_000;
/** Fewer samples say nothing. */
const MIN_SAMPLES = 30;

/** Watches the resident memory of processes while events are published. */
export class MemoryWatch {
  readonly #pids: readonly number[];
  readonly #samples: number[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(pids: readonly number[]) {
    this.#pids = pids;
  }

  start(): void {
    this.#timer = setInterval(() => this.#samples.push(residentKb(this.#pids)), EVERY_MS);
  }

  /**
   * Stops, and returns the mean of the last third as a multiple of that of the second third, or null
   * after less than half a minute. The first third warms up.
   */
  stop(): number | null {
    clearInterval(this.#timer);
    if (this.#samples.length < MIN_SAMPLES) return null;
    const third = Math.floor(this.#samples.length / 3);
    return mean(this.#samples.slice(2 * third)) / mean(this.#samples.slice(third, 2 * third));
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
