import { keys } from "../kv/keys.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { ChannelCounts } from "./channel_counts.ts";
import type { CheckOutcome } from "./commit_decision.ts";
import type { CommitPlan } from "./commit_plan.ts";
import { movedBy } from "./commit_writes.ts";
import { getMany } from "./get_many.ts";
import type { HeadCache } from "./head_cache.ts";
import { StaleRowsError } from "./log.ts";
import { channelKeysOf, type PendingAppend, settle } from "./pending_append.ts";
import type { StoredBatch } from "./record_batch.ts";

/** A commit that was sent. While its outcome is unknown it may still arrive. */
export interface SentCommit {
  readonly id: string;
  readonly plan: CommitPlan;
}

/** What has become of the commits of a group. */
type CommitCheck =
  | { readonly kind: "arrived"; readonly sent: SentCommit }
  | CheckOutcome;

interface CheckSources {
  readonly kv: Deno.Kv;
  readonly heads: HeadCache;
  readonly counts: ChannelCounts;
}

/**
 * Reads the heads of the group again and looks for the commits of `unknown` in the log. If there is
 * none, answers the appends whose rows have changed. Never rejects.
 */
export async function checkCommits(
  sources: CheckSources,
  group: readonly PendingAppend[],
  unknown: readonly SentCommit[],
): Promise<CommitCheck> {
  try {
    // Heads first: with a commit that arrives after the search they are outdated, so that the next
    // commit is refused. Heads from after it would let the group be stored twice.
    const moved = await reloadHeads(sources, group);
    const sent = await findArrived(sources.kv, unknown);
    if (sent !== undefined) return { kind: "arrived", sent };
    const hasStaleRows = await dropStale(sources.kv, group);
    const independent = independentOf(moved, group);
    const isSplittable = independent.length > 0 && independent.length < group.length;
    return { kind: "not_found", moved, hasStaleRows, isSplittable, independent };
  } catch (cause) {
    return { kind: "failed", cause };
  }
}

/** Finds the one of `commits` that is in the log, by the commit id in its record batch. */
async function findArrived(
  kv: Deno.Kv,
  commits: readonly SentCommit[],
): Promise<SentCommit | undefined> {
  for (const commit of commits) {
    const [channel] = movedBy(commit.plan);
    const first = channel?.events[0]?.event.sequence;
    if (channel === undefined || first === undefined) continue;
    const batches = kv.list<StoredBatch>({
      start: keys.batch(channel.channelKey, channel.head.epoch, first),
      end: keys.batch(channel.channelKey, channel.head.epoch, Number.MAX_SAFE_INTEGER),
    }, { limit: 1 });
    for await (const { value } of batches) if (value.commit === commit.id) return commit;
  }
  return undefined;
}

/** Reads the heads of the group again, and returns the channels whose head has changed. */
async function reloadHeads(
  { heads, counts }: CheckSources,
  group: readonly PendingAppend[],
): Promise<ReadonlySet<ChannelKey>> {
  const channelKeys = [...channelKeysOf(group)];
  counts.forget(channelKeys); // the next plan counts the channels that it creates again
  const before = channelKeys.map((channelKey) => heads.peek(channelKey)?.row.versionstamp);
  await heads.reload(channelKeys);
  return new Set(
    channelKeys.filter((channelKey, i) => heads.peek(channelKey)?.row.versionstamp !== before[i]),
  );
}

/** Answers the appends whose rows have changed since they were read; returns if there are any. */
async function dropStale(kv: Deno.Kv, group: readonly PendingAppend[]): Promise<boolean> {
  const checked = group.flatMap((pending) =>
    pending.settled ? [] : pending.rowChecks.map((check) => ({ pending, check }))
  );
  if (checked.length === 0) return false;
  const entries = await getMany(kv, checked.map(({ check }) => check.key));
  const stale = checked.filter(({ check }, i) => entries[i]?.versionstamp !== check.versionstamp);
  for (const { pending } of stale) settle(pending, new StaleRowsError());
  return stale.length > 0;
}

/**
 * Returns the appends of `group` that share no channel with the moved ones, nor with another append
 * that does: so the appends of one channel keep their order.
 */
export function independentOf(
  moved: ReadonlySet<ChannelKey>,
  group: readonly PendingAppend[],
): readonly PendingAppend[] {
  const blocked = new Set(moved);
  const isIndependent = ({ channelKeys }: PendingAppend) =>
    channelKeys.every((channelKey) => !blocked.has(channelKey));
  for (let before = -1; before !== blocked.size;) {
    before = blocked.size;
    const dependent = group.filter((pending) => !isIndependent(pending));
    for (const channelKey of channelKeysOf(dependent)) blocked.add(channelKey);
  }
  return group.filter(isIndependent);
}
