import { keys } from "../kv/keys.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { LogEvent } from "../shared/event.ts";
import { type Epoch, formatOffset, type Offset } from "../shared/offset.ts";
import { Problem, quote } from "../shared/problem.ts";
import { loadData, type StoredDrafts } from "./blobs.ts";
import { type ChannelCounts, isNew } from "./channel_counts.ts";
import type { PendingAppend } from "./pending_append.ts";
import { getMany, type HeadCache } from "./head_cache.ts";
import { type HeadEntry, newHead, type StoredHead } from "./head.ts";
import { type AppendedEvent, type Draft, type RowChange, StaleRowsError } from "./log.ts";
import { isBlobRef, type PackedEvent, type StoredBatch, unpackEvent } from "./record_batch.ts";

type AppendOutcome = readonly AppendedEvent[] | Problem | StaleRowsError;

/** What a commit does to one channel. */
export interface ChannelPlan {
  readonly channelKey: ChannelKey;
  readonly before: HeadEntry;
  readonly head: StoredHead;
  /** Bytes of data in the log before `events`. */
  readonly startBytes: number;
  readonly events: readonly PackedEvent[];
}

export interface CommitPlan {
  readonly channels: readonly ChannelPlan[];
  /** What each append is answered once the commit stands. */
  readonly answers: ReadonlyMap<PendingAppend, AppendOutcome>;
  /** Of the appends that are stored. */
  readonly stored: readonly StoredDrafts[];
  /** Blobs among theirs that nothing refers to, since their event was in the log already. */
  readonly unused: ReadonlySet<string>;
  /** What changes along with events, each with its event's offset. */
  readonly rows: readonly { readonly change: RowChange; readonly offset: Offset }[];
}

/** What a plan is made from. */
export interface PlanSources {
  readonly kv: Deno.Kv;
  readonly heads: HeadCache;
  readonly counts: ChannelCounts;
}

/** The value of a `seen` key. */
export type StoredEventId = readonly [epoch: Epoch, sequence: number];

/** What is known of an id: the kept event, or the draft before it in the same commit. */
interface EarlierEvent {
  readonly sequence: number;
  readonly type: string;
  readonly contentType: string;
  readonly data: string | Uint8Array;
  readonly key: string | undefined;
}

/**
 * Gives every draft of `group` its sequence, or the place of the event that it repeats.
 *
 * The `seen` keys, and rows that are to be absent, are read after the heads. A commit that passes its
 * check of the head therefore knows that nobody appended since, and needs no check of their own.
 */
export async function planCommit(
  { kv, heads, counts }: PlanSources,
  group: readonly PendingAppend[],
  now: number,
): Promise<CommitPlan> {
  const channels = new Map<ChannelKey, ChannelPlanBuilder>();
  for (const { drafts } of group) {
    for (const { channelKey } of drafts) {
      if (!channels.has(channelKey)) channels.set(channelKey, openPlan(channelKey, heads, now));
    }
  }
  const known = await readKnown(kv, group, channels);
  const stale = await readStale(kv, group);
  const answers = new Map<PendingAppend, AppendOutcome>();
  const stored: StoredDrafts[] = [];
  const unused = new Set<string>();
  const rows: { change: RowChange; offset: Offset }[] = [];
  for (const pending of group) {
    if (pending.settled) continue; // its caller was told, and it was not sent
    const repeated = pending.drafts.map((draft, index) => repeatOf(draft, index, pending, known));
    const conflict = stale.get(pending) ?? repeated.find((found) => found instanceof Problem) ??
      countChannels(pending, channels, counts);
    if (conflict !== undefined) {
      answers.set(pending, conflict);
      continue;
    }
    stored.push(pending.stored);
    answers.set(
      pending,
      pending.drafts.map((draft, i): AppendedEvent => {
        const plan = channels.get(draft.channelKey) as ChannelPlanBuilder; // made above for every draft
        const name = nameOf(draft);
        // Asked again, since an earlier draft of this very append may have brought the id.
        const before = name === undefined ? undefined : known.get(name);
        const data = pending.stored.stored[i] ?? draft.data; // as many as drafts
        if (before !== undefined && isBlobRef(data)) unused.add(data.blob);
        const sequence = before?.sequence ?? plan.push(draft, data);
        if (name !== undefined && before === undefined) known.set(name, { ...draft, sequence });
        const offset = formatOffset(plan.before.epoch, sequence);
        if (draft.rows !== undefined && before === undefined) {
          rows.push({ change: draft.rows, offset });
        }
        return { offset, id: draft.id ?? offset, duplicate: before !== undefined };
      }),
    );
  }
  const plans = [...channels.values()].map((plan) => plan.close());
  return { channels: plans, answers, stored, unused, rows };
}

/** Counts the channels that `pending` is the first to need; why it may not have them. */
function countChannels(
  { drafts }: PendingAppend,
  channels: ReadonlyMap<ChannelKey, ChannelPlanBuilder>,
  counts: ChannelCounts,
): Problem | undefined {
  const made = new Set<ChannelPlanBuilder>();
  for (const { channelKey } of drafts) {
    const plan = channels.get(channelKey);
    if (plan !== undefined && !plan.isCounted && isNew(plan.entry.head)) made.add(plan);
  }
  if (made.size === 0) return undefined;
  try {
    counts.add([...made].map(({ channelKey }) => channelKey));
  } catch (cause) {
    if (cause instanceof Problem) return cause;
    throw cause;
  }
  for (const plan of made) plan.isCounted = true;
  return undefined;
}

class ChannelPlanBuilder {
  readonly before: StoredHead;
  readonly #events: PackedEvent[] = [];
  readonly #time: number;
  #bytes = 0;
  /** Whether the channel, which the commit makes, stands in the tenant's count. */
  isCounted = false;

  constructor(readonly channelKey: ChannelKey, readonly entry: HeadEntry, now: number) {
    const { head } = entry;
    this.before = head === null ? newHead(now) : head.deleted ? { ...head, deleted: false } : head;
    this.#time = Math.max(now, this.before.time);
  }

  push(draft: Draft, stored: PackedEvent["stored"]): number {
    const sequence = this.before.last + this.#events.length + 1;
    const event: LogEvent = {
      sequence,
      id: draft.id,
      type: draft.type,
      time: this.#time,
      contentType: draft.contentType,
      data: draft.data,
      key: draft.key,
      expiresAt: draft.ttlMs === undefined ? undefined : this.#time + draft.ttlMs,
    };
    this.#events.push({ event, stored, bytes: draft.bytes });
    this.#bytes += draft.bytes;
    return sequence;
  }

  close(): ChannelPlan {
    const { before } = this;
    const last = before.last + this.#events.length;
    const isEmpty = before.first > before.last;
    return {
      channelKey: this.channelKey,
      before: this.entry,
      startBytes: before.endBytes,
      events: this.#events,
      head: {
        ...before,
        last,
        time: this.#time,
        oldest: isEmpty ? this.#time : before.oldest,
        endBytes: before.endBytes + this.#bytes,
      },
    };
  }
}

function openPlan(channelKey: ChannelKey, heads: HeadCache, now: number): ChannelPlanBuilder {
  return new ChannelPlanBuilder(
    channelKey,
    heads.peek(channelKey) ?? { head: null, versionstamp: null },
    now,
  );
}

/** An id's name among all channels' ids; a NUL is in neither. */
function nameOf(draft: Draft): string | undefined {
  return draft.id === undefined ? undefined : `${draft.channelKey}\0${draft.id}`;
}

function repeatOf(
  draft: Draft,
  index: number,
  pending: PendingAppend,
  known: ReadonlyMap<string, EarlierEvent>,
): EarlierEvent | Problem | undefined {
  const name = nameOf(draft);
  if (name === undefined) return undefined;
  const earlier = pending.drafts.slice(0, index).find((other) => nameOf(other) === name);
  const before = known.get(name) ?? (earlier && { ...earlier, sequence: 0 });
  if (before === undefined || isSame(before, draft)) return before;
  return new Problem(
    "idempotency_conflict",
    `Cannot publish under the id ${
      quote(draft.id ?? "")
    } again: the event that has it is another one.`,
    { index },
  );
}

function isSame(a: Omit<EarlierEvent, "sequence">, b: Omit<EarlierEvent, "sequence">): boolean {
  return a.type === b.type && a.contentType === b.contentType && a.key === b.key &&
    isSameData(a.data, b.data);
}

function isSameData(a: string | Uint8Array, b: string | Uint8Array): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The kept events that have the ids of the group's drafts. */
async function readKnown(
  kv: Deno.Kv,
  group: readonly PendingAppend[],
  channels: ReadonlyMap<ChannelKey, ChannelPlanBuilder>,
): Promise<Map<string, EarlierEvent>> {
  const known = new Map<string, EarlierEvent>();
  const named = new Map<string, Draft>();
  for (const { drafts } of group) {
    for (const draft of drafts) {
      const name = nameOf(draft);
      if (name !== undefined) named.set(name, draft);
    }
  }
  if (named.size === 0) return known;
  const drafts = [...named.values()];
  const seen = await getMany<StoredEventId>(
    kv,
    drafts.map((d) => keys.seen(d.channelKey, d.id ?? "")),
  );
  await Promise.all([...named].map(async ([name, { channelKey }], i) => {
    const head = channels.get(channelKey)?.before;
    const [epoch, sequence] = seen[i]?.value ?? [];
    if (head === undefined || epoch !== head.epoch || sequence === undefined) return;
    if (sequence < head.first) return; // dropped by retention, and its key soon with it
    const event = await readEvent(kv, channelKey, epoch, sequence);
    if (event !== undefined) known.set(name, { ...event, sequence });
  }));
  return known;
}

const NOTHING: ReadonlyMap<PendingAppend, StaleRowsError> = new Map();

/** The appends that need rows to be absent which are there. */
async function readStale(
  kv: Deno.Kv,
  group: readonly PendingAppend[],
): Promise<ReadonlyMap<PendingAppend, StaleRowsError>> {
  const needed: { readonly pending: PendingAppend; readonly key: Deno.KvKey }[] = [];
  for (const pending of group) {
    for (const key of pending.absentRows) needed.push({ pending, key });
  }
  if (needed.length === 0) return NOTHING;
  const entries = await getMany(kv, needed.map(({ key }) => key));
  const stale = needed.filter((_, i) => entries[i]?.versionstamp !== null);
  return new Map(stale.map(({ pending }) => [pending, new StaleRowsError()]));
}

async function readEvent(
  kv: Deno.Kv,
  channelKey: ChannelKey,
  epoch: Epoch,
  sequence: number,
): Promise<LogEvent | undefined> {
  const batches = kv.list<StoredBatch>({
    start: keys.batch(channelKey, epoch, sequence),
    end: keys.batch(channelKey, epoch, Number.MAX_SAFE_INTEGER),
  }, { limit: 1 });
  for await (const { value: batch } of batches) {
    const index = sequence - batch.first;
    const [data] = await loadData(kv, channelKey, batch.data.slice(index, index + 1));
    if (data !== undefined) return unpackEvent(batch, index, data);
  }
  return undefined;
}
