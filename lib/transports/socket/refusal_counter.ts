import type { ProblemCode } from "../../shared/problem.ts";

/** Refusals that one socket may cause in ten seconds. */
export const MAX_REFUSALS = 1_000;
const WINDOW_MS = 10_000;

/** Refusals that count against no other limit. */
const COUNTED: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  "bad_frame",
  "bad_message",
  "bad_op",
  "forbidden",
  "rate_limited",
  "unauthenticated",
]);

/**
 * Counts the refusals of one socket. Guards against a client that keeps sending what is refused:
 * each message costs parsing and an answer, and no other limit stops it.
 */
export class RefusalCounter {
  #count = 0;
  #since = -Infinity;

  /**
   * Counts one refusal. Accepted messages between two refusals don't reset the count, since a rate
   * limit accepts some.
   *
   * @param now milliseconds of a clock that never goes backwards
   * @returns whether there were too many
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
