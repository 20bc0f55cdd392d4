import { isOutage, isTooLarge, storageProblem } from "../kv/storage_problem.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { commitUnknown, type PendingAppend } from "./pending_append.ts";

/** Failures after which a group is given up. They take a minute; all callers have timed out. */
export const MAX_FAILURES = 60;

/** What has happened to the commits of one group so far. */
export interface CommitTries {
  /** Attempts that commits of other isolates kept from succeeding. */
  readonly conflicts: number;
  /** Attempts and checks that failed because the store did not answer. */
  readonly failures: number;
  /** Whether the texts of the group are already stored in their shortest form. */
  readonly isNarrowed: boolean;
}

export const NO_TRIES: CommitTries = { conflicts: 0, failures: 0, isNarrowed: false };

/** How an attempt ended that was not committed. */
export type AttemptOutcome =
  /** A checked row was changed by another commit. Nothing is stored. */
  | { readonly kind: "refused" }
  /** Reading, planning or sending failed. If the commit was sent, it may still arrive. */
  | { readonly kind: "failed"; readonly cause: unknown };

export type AfterAttempt =
  /** Check whether a commit has arrived, and what has changed. */
  | { readonly action: "check"; readonly tries: CommitTries; readonly pauses: boolean }
  /** Store the texts in their shortest form and try again. */
  | { readonly action: "narrow"; readonly tries: CommitTries }
  | { readonly action: "give_up"; readonly problem: Problem };

/**
 * Decides what follows an attempt that was not committed.
 *
 * @param mayArrive whether an earlier commit of the group was sent and its outcome is unknown.
 */
export function decideAfterAttempt(
  outcome: AttemptOutcome,
  tries: CommitTries,
  mayArrive: boolean,
): AfterAttempt {
  if (outcome.kind === "refused") {
    return { action: "check", tries: { ...tries, conflicts: tries.conflicts + 1 }, pauses: false };
  }
  const { cause } = outcome;
  if (isTooLarge(cause) && !tries.isNarrowed) {
    return { action: "narrow", tries: { ...tries, isNarrowed: true } };
  }
  const problem = storageProblem(cause);
  const failures = isOutage(problem) ? tries.failures + 1 : tries.failures;
  if (!isOutage(problem) || failures >= MAX_FAILURES) {
    // This attempt failed for good, but an earlier one may have arrived.
    const isUnknown = failures > 0 && mayArrive;
    return { action: "give_up", problem: isUnknown ? commitUnknown(cause) : problem };
  }
  return { action: "check", tries: { ...tries, failures }, pauses: true };
}

/** What a check after an attempt has found. A commit that has arrived needs no decision. */
export type CheckOutcome =
  | { readonly kind: "failed"; readonly cause: unknown }
  | {
    readonly kind: "not_found";
    /** The channels of the group whose head another isolate has moved. */
    readonly moved: ReadonlySet<ChannelKey>;
    /** Whether appends were answered because rows that they need have changed. */
    readonly hasStaleRows: boolean;
    /** The appends of the group that are independent of the moved channels. */
    readonly independent: readonly PendingAppend[];
    /** Whether some appends of the group are independent, but not all. */
    readonly isSplittable: boolean;
  };

export type AfterCheck =
  /**
   * Pause and try again. `forgets`: all commits of the group were refused, so that none of them can
   * still arrive.
   */
  | {
    readonly action: "retry";
    readonly tries: CommitTries;
    readonly backoff: "conflicts" | "failures";
    readonly forgets: boolean;
  }
  /** Commit the independent appends at once, and the others after a pause. */
  | {
    readonly action: "split";
    readonly tries: CommitTries;
    readonly independent: readonly PendingAppend[];
  }
  | { readonly action: "give_up"; readonly problem: Problem };

/**
 * Decides what follows a check that has not found a commit of the group in the log.
 *
 * @param hasTime whether the conflict may still be resolved before the callers time out.
 */
export function decideAfterCheck(
  outcome: CheckOutcome,
  tries: CommitTries,
  hasTime: boolean,
): AfterCheck {
  if (outcome.kind === "failed") {
    const problem = storageProblem(outcome.cause);
    const failures = tries.failures + 1;
    if (!isOutage(problem) || failures >= MAX_FAILURES) return { action: "give_up", problem };
    return {
      action: "retry",
      tries: { ...tries, failures },
      backoff: "failures",
      forgets: false,
    };
  }
  const { moved, hasStaleRows, independent, isSplittable } = outcome;
  // Stale rows alone are the conflict of their appends, which are out. The others start over.
  const isConflict = moved.size > 0 || !hasStaleRows;
  const conflicts = isConflict ? tries.conflicts : tries.conflicts - 1;
  // After a failure the whole group may yet arrive, so it must stay whole.
  const canArrive = tries.failures > 0;
  if (isConflict && conflicts > 0 && !hasTime) {
    const detail = "Too many concurrent publishes to one channel; publish again.";
    const problem = canArrive ? commitUnknown() : new Problem("contended", detail);
    return { action: "give_up", problem };
  }
  const next: CommitTries = { ...tries, conflicts };
  return isSplittable && !canArrive
    ? { action: "split", tries: next, independent }
    : { action: "retry", tries: next, backoff: "conflicts", forgets: !canArrive };
}
