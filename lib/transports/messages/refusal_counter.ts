import type { ProblemCode } from "../../shared/problem.ts";
import { WindowCounter } from "./window_counter.ts";

/** Refusals that one client may cause in ten seconds. */
export const MAX_REFUSALS = 1_000;

/** Refusals that the client did not cause, or that count against a limit of publishes. */
const NOT_COUNTED: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  "commit_unknown",
  "contended",
  "idempotency_conflict",
  "inbox_full",
  "internal",
  "keys_unavailable",
  "overloaded",
  "presence_full",
  "shutting_down",
  "storage_full",
  "storage_read_only",
  "storage_unavailable",
  "tenant_limit",
  "too_many_sessions",
]);

/**
 * Counts the refusals of one client. Guards against a client that keeps sending what is refused:
 * each message costs parsing and an answer, and no other limit stops it.
 */
export class RefusalCounter {
  readonly #window = new WindowCounter(MAX_REFUSALS);

  /**
   * Counts one refusal. Accepted messages between two refusals don't reset the count, since a rate
   * limit accepts some.
   *
   * @param now milliseconds of a clock that never goes backwards
   * @returns whether there were too many
   */
  add(code: ProblemCode, now: number): boolean {
    return !NOT_COUNTED.has(code) && this.#window.add(now);
  }
}
