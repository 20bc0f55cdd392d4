/** Milliseconds in which messages are counted. */
const WINDOW_MS = 10_000;

/** Counts messages of one client in windows of ten seconds. */
export class WindowCounter {
  readonly #max: number;
  #count = 0;
  #since = -Infinity;

  /** @param max messages that are allowed in ten seconds */
  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Counts one message.
   *
   * @param now milliseconds of a clock that never goes backwards
   * @returns whether there were too many
   */
  add(now: number): boolean {
    if (now - this.#since >= WINDOW_MS) {
      this.#since = now;
      this.#count = 0;
    }
    return ++this.#count > this.#max;
  }
}
