import type { AppendedEvent } from "./log.ts";
import type { PendingAppend } from "./pending_append.ts";

/** One try to commit a group of appends. Times are those of `performance.now()`. */
export interface CommitAttempt {
  readonly group: readonly PendingAppend[];
  readonly start: number;
  readonly end: number;
  readonly outcome: "committed" | "refused" | "failed";
  /** How often commits of the group were refused before. */
  readonly conflicts: number;
}

/** Follows appends from their call to their answer, for traces. */
export interface AppendTracer {
  /** An append waits for its commit. Called in the context of its caller. */
  queued(pending: PendingAppend, answer: Promise<readonly AppendedEvent[]>): void;
  /** A try to commit has ended, before its appends are answered. */
  attempted(attempt: CommitAttempt): void;
}
