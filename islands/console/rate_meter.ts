/** A rate is the mean of this many seconds. */
const SPAN = 5;

/** Measures events per second over the last full seconds. */
export class RateMeter {
  readonly #counts: number[] = [0];

  count(): void {
    this.#counts[0] = (this.#counts[0] ?? 0) + 1;
  }

  /** Returns the rate. Call it once a second. */
  tick(): number {
    const counted = this.#counts.slice(0, SPAN);
    this.#counts.unshift(0);
    this.#counts.length = Math.min(this.#counts.length, SPAN + 1);
    return counted.reduce((sum, count) => sum + count, 0) / counted.length;
  }
}
