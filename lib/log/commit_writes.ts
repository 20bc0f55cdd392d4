import { keys } from "../kv/keys.ts";
import { claimEarly } from "./blobs.ts";
import { isNew, sumChannels } from "./channel_counts.ts";
import type { ChannelPlan } from "./channel_plan.ts";
import type { CommitPlan } from "./commit_plan.ts";
import type { StoredEventId } from "./earlier_events.ts";
import { beginLife } from "./life.ts";
import { lastOf, packBatches } from "./record_batch.ts";

/** Returns the plans of the channels that get new events. */
export function movedBy({ channels }: CommitPlan): readonly ChannelPlan[] {
  return channels.filter(({ events }) => events.length > 0);
}

/** Adds all checks and mutations of `plan` to `atomic`. The batches carry `commitId`. */
export function writeCommit(
  atomic: Deno.AtomicOperation,
  commitId: string,
  plan: CommitPlan,
): void {
  for (const channel of plan.channels) writeChannel(atomic, commitId, channel);
  for (const { change, offset } of plan.rows) {
    for (const check of change.checks) atomic.check(check);
    change.write(atomic, offset);
  }
  for (const { chunks, early } of plan.stored) {
    for (const { blob, key, value } of chunks) {
      if (!plan.unusedBlobs.has(blob)) atomic.set(key, value);
    }
    if (early !== undefined) claimEarly(atomic, early, plan.unusedBlobs);
  }
  const created = movedBy(plan).filter(({ before }) => isNew(before.head));
  sumChannels(atomic, created.map(({ channelKey }) => channelKey), 1);
}

function writeChannel(
  atomic: Deno.AtomicOperation,
  commitId: string,
  { channelKey, before, head, startBytes, events }: ChannelPlan,
): void {
  // Repeats need the check too: it makes sure that the events which they repeat are still kept.
  atomic.check(before.row);
  if (events.length === 0) return;
  atomic.set(keys.head(channelKey), head);
  if (isNew(before.head)) beginLife(atomic, channelKey);
  for (const batch of packBatches(commitId, startBytes, events)) {
    atomic.set(keys.batch(channelKey, head.epoch, lastOf(batch)), batch);
  }
  for (const { event } of events) {
    if (event.id === undefined) continue;
    const seen: StoredEventId = [head.epoch, event.sequence];
    atomic.set(keys.seen(channelKey, event.id), seen);
  }
}
