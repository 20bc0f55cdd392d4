/** Runs actions after a delay, always in the order in which they were added. */
export class DelayQueue {
  /** The delay of actions added from now on. */
  delayMs = 0;
  readonly #waiting: (() => void)[] = [];

  /** Runs `action` after the delay, or at once without a delay or waiting actions. */
  run(action: () => void): void {
    if (this.delayMs === 0 && this.#waiting.length === 0) return action();
    this.#waiting.push(action);
    // Each timer runs the oldest action, so timers of different lengths keep the order.
    setTimeout(() => this.#waiting.shift()?.(), this.delayMs);
  }

  /** Resolves after all actions added before. */
  flush(): Promise<void> {
    return new Promise((resolve) => this.run(resolve));
  }
}
