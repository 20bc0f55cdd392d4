import type { ProblemCode } from "../../shared/problem.ts";

/** Refusals of one socket in ten seconds. */
export const MAX_REFUSALS = 1_000;
const WINDOW_MS = 10_000;

/** Those that cost nobody's limits, so that only their number ends them. */
const COUNTED: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  "bad_frame",
  "bad_message",
  "bad_op",
  "forbidden",
  "rate_limited",
  "unauthenticated",
]);

/**
 * The refusals of one socket. Met: a client that goes on sending what is refused. Each message
 * costs reading and an answer, and no limit holds it back.
 */
export class RefusalCounter {
  #count = 0;
  #since = -Infinity;

  /**
   * Counts one.
   *
   * @param now milliseconds of a clock that never goes backwards.
   * @returns whether there were too many: not in a row, for what a limit lets through comes between.
   */
  add(code: ProblemCode, now: number): boolean {
    if (!COUNTED.has(code)) return false;
    if (now - this.#since >= WINDOW_MS) {
      this.#since = now;
      this.#count = 0;
    }
    return ++this.#count > MAX_REFUSALS;
  }
}
