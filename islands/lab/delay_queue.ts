/** Lets things pass after a delay, in the order in which they came, whatever the delay becomes. */
export class DelayQueue {
  /** Milliseconds. */
  delayMs = 0;
  readonly #waiting: (() => void)[] = [];

  /** Runs `action` when its time has come: at once where nothing is to be late. */
  run(action: () => void): void {
    if (this.delayMs === 0 && this.#waiting.length === 0) return action();
    this.#waiting.push(action);
    // Each timer lets the oldest pass: so timers that differ can't change the order.
    setTimeout(() => this.#waiting.shift()?.(), this.delayMs);
  }

  /** Resolves when what came before has passed. */
  flush(): Promise<void> {
    return new Promise((resolve) => this.run(resolve));
  }
}
