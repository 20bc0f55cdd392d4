import type { ChannelKey } from "../shared/channel.ts";
import { formatOffset, type Offset } from "../shared/offset.ts";
import { Problem } from "../shared/problem.ts";
import type { StoredDrafts } from "./stored_drafts.ts";
import { type ChannelCounts, isNew } from "./channel_counts.ts";
import { type ChannelPlan, ChannelPlanBuilder } from "./channel_plan.ts";
import {
  type EarlierEvent,
  findConflict,
  globalIdOf,
  readEarlierEvents,
} from "./earlier_events.ts";
import { getMany } from "./get_many.ts";
import type { HeadCache } from "./head_cache.ts";
import { type AppendedEvent, type RowChange, StaleRowsError } from "./log.ts";
import { withoutLife } from "./life.ts";
import type { AppendOutcome, PendingAppend } from "./pending_append.ts";
import { isBlobRef } from "./record_batch.ts";

/** What one commit stores, and how it answers each append of its group. */
export interface CommitPlan {
  /** The channels of the group, also those that only get repeated events. */
  readonly channels: readonly ChannelPlan[];
  /** The outcome of each append once the commit has succeeded. */
  readonly outcomes: ReadonlyMap<PendingAppend, AppendOutcome>;
  /** The stored form of the appends that succeed. */
  readonly stored: readonly StoredDrafts[];
  /** Blobs of `stored` that nothing refers to, since their events are repeats. */
  readonly unusedBlobs: ReadonlySet<string>;
  /** Rows that change along with an event, and the offset of that event. */
  readonly rows: readonly PlannedRowChange[];
}

interface PlannedRowChange {
  readonly change: RowChange;
  readonly offset: Offset;
}

interface PlanSources {
  readonly kv: Deno.Kv;
  /** Has the heads of all channels of the group. */
  readonly heads: HeadCache;
  readonly counts: ChannelCounts;
}

/**
 * Gives every draft of `group` its sequence, or that of the event which it repeats. Appends that
 * cannot succeed are left out, with a problem as their outcome.
 *
 * The `seen` keys, and rows that must be absent, are read after the heads. A commit that passes its
 * check of the head therefore knows that nobody has appended since, and needs no checks for them.
 */
export async function planCommit(
  { kv, heads, counts }: PlanSources,
  group: readonly PendingAppend[],
  now: number,
): Promise<CommitPlan> {
  const channels = new Map<ChannelKey, ChannelPlanBuilder>();
  for (const { channelKeys } of group) {
    for (const channelKey of channelKeys) {
      if (channels.has(channelKey)) continue;
      const head = heads.peek(channelKey) ?? withoutLife(channelKey);
      channels.set(channelKey, new ChannelPlanBuilder(channelKey, head, now));
    }
  }
  const earlier = await readEarlierEvents(kv, group, channels);
  const stale = await readStale(kv, group);
  const open: OpenPlan = { channels, earlier, unusedBlobs: new Set(), rows: [] };
  const outcomes = new Map<PendingAppend, AppendOutcome>();
  const stored: StoredDrafts[] = [];
  for (const pending of group) {
    if (pending.settled) continue; // its caller has timed out, and no commit has it yet
    const problem = stale.get(pending) ?? findConflict(pending, earlier) ??
      capacityProblem(pending, channels) ?? countChannels(pending, channels, counts);
    if (problem !== undefined) {
      outcomes.set(pending, problem);
      continue;
    }
    stored.push(pending.stored);
    outcomes.set(pending, appendAll(pending, open));
  }
  const plans = Array.from(channels.values(), (channel) => channel.build());
  return { channels: plans, outcomes, stored, unusedBlobs: open.unusedBlobs, rows: open.rows };
}

/** What {@link appendAll} adds to. */
interface OpenPlan {
  readonly channels: ReadonlyMap<ChannelKey, ChannelPlanBuilder>;
  readonly earlier: Map<string, EarlierEvent>;
  readonly unusedBlobs: Set<string>;
  readonly rows: PlannedRowChange[];
}

function appendAll(
  { drafts, stored }: PendingAppend,
  { channels, earlier, unusedBlobs, rows }: OpenPlan,
): readonly AppendedEvent[] {
  return drafts.map((draft, i): AppendedEvent => {
    const channel = channels.get(draft.channelKey) as ChannelPlanBuilder; // planCommit() made one for the channel of each draft
    const id = globalIdOf(draft);
    // An earlier draft of the same append may have the id.
    const repeated = id === undefined ? undefined : earlier.get(id);
    const data = stored.data[i] ?? draft.data; // `stored.data` has an item for each draft
    if (repeated !== undefined && isBlobRef(data)) unusedBlobs.add(data.blob);
    const sequence = repeated?.sequence ?? channel.push(draft, data);
    if (id !== undefined && repeated === undefined) earlier.set(id, { ...draft, sequence });
    const offset = formatOffset(channel.head.epoch, sequence);
    if (draft.rows !== undefined && repeated === undefined) {
      rows.push({ change: draft.rows, offset });
    }
    return { offset, id: draft.id ?? offset, duplicate: repeated !== undefined };
  });
}

/** Returns the refusal of a draft whose channel has no room for it. */
function capacityProblem(
  { drafts }: PendingAppend,
  channels: ReadonlyMap<ChannelKey, ChannelPlanBuilder>,
): Problem | undefined {
  for (const { channelKey, capacity } of drafts) {
    if (capacity === undefined) continue;
    const own = drafts.filter((draft) => draft.channelKey === channelKey);
    if (channels.get(channelKey)?.hasRoom(own, capacity) === false) return capacity.refusal();
  }
  return undefined;
}

/** Counts the channels that `pending` creates; returns a problem if the tenant has too many. */
function countChannels(
  { channelKeys }: PendingAppend,
  channels: ReadonlyMap<ChannelKey, ChannelPlanBuilder>,
  counts: ChannelCounts,
): Problem | undefined {
  const created: ChannelPlanBuilder[] = [];
  for (const channelKey of channelKeys) {
    const channel = channels.get(channelKey);
    if (channel !== undefined && !channel.isCounted && isNew(channel.before.head)) {
      created.push(channel);
    }
  }
  if (created.length === 0) return undefined;
  try {
    counts.add(created.map(({ channelKey }) => channelKey));
  } catch (cause) {
    if (cause instanceof Problem) return cause;
    throw cause;
  }
  for (const channel of created) channel.isCounted = true;
  return undefined;
}

const NO_STALE_ROWS: ReadonlyMap<PendingAppend, StaleRowsError> = new Map();

/** Finds the appends that need rows to be absent which exist. */
async function readStale(
  kv: Deno.Kv,
  group: readonly PendingAppend[],
): Promise<ReadonlyMap<PendingAppend, StaleRowsError>> {
  const needed: { readonly pending: PendingAppend; readonly key: Deno.KvKey }[] = [];
  for (const pending of group) {
    for (const key of pending.absentRows) needed.push({ pending, key });
  }
  if (needed.length === 0) return NO_STALE_ROWS;
  const entries = await getMany(kv, needed.map(({ key }) => key));
  const stale = needed.filter((_, i) => entries[i]?.versionstamp !== null);
  return new Map(stale.map(({ pending }) => [pending, new StaleRowsError()]));
}
