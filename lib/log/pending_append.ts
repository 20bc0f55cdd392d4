import type { ChannelKey } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import type { StoredDrafts } from "./stored_drafts.ts";
import type { AppendedEvent, Draft, StaleRowsError } from "./log.ts";

/** What the caller of an append receives. */
export type AppendOutcome = readonly AppendedEvent[] | Problem | StaleRowsError;

/** One append, from its call to its answer. */
export interface PendingAppend {
  readonly drafts: readonly Draft[];
  /** The channels of the drafts, without repeats. */
  readonly channelKeys: readonly ChannelKey[];
  stored: StoredDrafts;
  /** Rows that must not have changed since they were read. */
  readonly rowChecks: readonly Deno.AtomicCheck[];
  /** Rows that must not exist. */
  readonly absentRows: readonly Deno.KvKey[];
  /** What it counts towards the bytes that may wait. */
  readonly bytes: number;
  /** `performance.now()` at the call. */
  readonly since: number;
  /** Whether the caller has its answer, even if the commit is still under way. */
  settled: boolean;
  readonly resolve: (appended: readonly AppendedEvent[]) => void;
  readonly reject: (problem: Problem | StaleRowsError) => void;
}

/** Answers the caller, unless it has its answer. */
export function settle(pending: PendingAppend, outcome: AppendOutcome): void {
  if (pending.settled) return;
  pending.settled = true;
  if (outcome instanceof Error) pending.reject(outcome);
  else pending.resolve(outcome);
}

/** Returns whether the append is stored even if the disk is full. */
export function isEssential({ drafts }: Pick<PendingAppend, "drafts">): boolean {
  return drafts.every((draft) => draft.isEssential);
}

/** Returns the channels of all appends of `group`. */
export function channelKeysOf(group: readonly PendingAppend[]): ReadonlySet<ChannelKey> {
  const channelKeys = new Set<ChannelKey>();
  for (const pending of group) {
    for (const channelKey of pending.channelKeys) channelKeys.add(channelKey);
  }
  return channelKeys;
}

/** Creates the problem of a caller whose events may be stored or not. */
export function commitUnknown(cause?: unknown): Problem {
  return new Problem(
    "commit_unknown",
    "The store did not answer in time, so the event may or may not be stored. Publish it again with the same Idempotency-Key: it is then stored once.",
    { cause },
  );
}
