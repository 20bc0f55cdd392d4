/** Seconds that a rate is the mean of. */
const SPAN = 5;

/** How many a second, over the last whole seconds. */
export class RateMeter {
  readonly #counts: number[] = [0];

  count(): void {
    this.#counts[0] = (this.#counts[0] ?? 0) + 1;
  }

  /** To be called each second. Answers the rate. */
  tick(): number {
    const counted = this.#counts.slice(0, SPAN);
    this.#counts.unshift(0);
    this.#counts.length = Math.min(this.#counts.length, SPAN + 1);
    return counted.reduce((sum, count) => sum + count, 0) / counted.length;
  }
}
