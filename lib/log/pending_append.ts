import type { ChannelKey } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import type { StoredDrafts } from "./blobs.ts";
import type { AppendedEvent, Draft, StaleRowsError } from "./log.ts";

/** One append from its call to its answer. */
export interface PendingAppend {
  readonly drafts: readonly Draft[];
  /** The channels of the drafts, without repeats. */
  readonly channelKeys: readonly ChannelKey[];
  stored: StoredDrafts;
  /** Rows that must be as they were read, for what changes along. */
  readonly rowChecks: readonly Deno.AtomicCheck[];
  /** Rows that must not be there. */
  readonly absentRows: readonly Deno.KvKey[];
  readonly bytes: number;
  readonly since: number;
  /** True once the caller has its answer, whatever becomes of the commit. */
  settled: boolean;
  readonly resolve: (appended: readonly AppendedEvent[]) => void;
  readonly reject: (problem: Problem | StaleRowsError) => void;
}

/** Answers the caller, unless it has its answer. */
export function settle(
  pending: PendingAppend,
  answer: readonly AppendedEvent[] | Problem | StaleRowsError,
): void {
  if (pending.settled) return;
  pending.settled = true;
  if (answer instanceof Error) pending.reject(answer);
  else pending.resolve(answer);
}

/** The channels of all of `group`. */
export function channelKeysOf(group: readonly PendingAppend[]): ReadonlySet<ChannelKey> {
  const channelKeys = new Set<ChannelKey>();
  for (const pending of group) {
    for (const channelKey of pending.channelKeys) channelKeys.add(channelKey);
  }
  return channelKeys;
}

/** For a caller whose events may be stored or not. */
export function commitUnknown(cause?: unknown): Problem {
  return new Problem(
    "commit_unknown",
    "The store did not answer in time: the event may be stored or not. Publish it again with the same Idempotency-Key to be sure of one.",
    { cause },
  );
}
