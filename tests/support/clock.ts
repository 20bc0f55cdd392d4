/** Time that a test moves. */
export class Clock {
  #time: number;
  readonly now = () => this.#time;

  /** @param start milliseconds since 1970. */
  constructor(start = 1_700_000_000_000) {
    this.#time = start;
  }

  pass(milliseconds: number): void {
    this.#time += milliseconds;
  }
}
