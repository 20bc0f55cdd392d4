import { setImmediate } from "node:timers";

/**
 * Lets a number of callers continue in each turn of the event loop, in the order of their calls.
 * Others wait for a later turn, so that thousands of calls at once do not keep the event loop busy.
 */
export class StartTurns {
  readonly #perTurn: number;
  #started = 0;
  readonly #waiting: (() => void)[] = [];
  #isPlanned = false;

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
  }

  /** Resolves at once, or in the caller's turn. */
  next(): Promise<void> {
    this.#plan();
    if (this.#started < this.#perTurn && this.#waiting.length === 0) {
      this.#started++;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      const next = this.#waiting.splice(0, this.#perTurn);
      this.#started = next.length;
      for (const resolve of next) resolve();
      if (next.length > 0) this.#plan();
    });
  }
}
