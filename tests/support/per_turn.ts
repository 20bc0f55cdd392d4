import assert from "node:assert/strict";
import { setImmediate } from "node:timers";

/**
 * Counts calls in each turn of the event loop: how much work is done at once, on a machine of any
 * speed.
 */
export class PerTurn {
  #most = 0;
  #count = 0;

  count(calls = 1): void {
    if (this.#count === 0) setImmediate(() => this.#count = 0);
    this.#count += calls;
    this.#most = Math.max(this.#most, this.#count);
  }

  /**
   * Fails if there were more calls in a turn than two parts of `perTurn`: one may begin in the turn
   * of the caller, and the next one at the end of the same turn.
   */
  assertAtMost(perTurn: number): void {
    assert.ok(this.#most > 0 && this.#most <= 2 * perTurn, `${this.#most} calls in a turn`);
  }
}
