import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { Gap, LogEvent } from "../shared/event.ts";
import { type Epoch, formatOffset, NO_EPOCH, offsetOf, type Position } from "../shared/offset.ts";
import { loadData } from "./blobs.ts";
import { publicHead, type StoredHead } from "./head.ts";
import { readHead } from "./life.ts";
import type { ReadResult } from "./log.ts";
import {
  isBlobRef,
  lastOf,
  type StoredBatch,
  type StoredData,
  unpackEvent,
} from "./record_batch.ts";
import { Run, withoutExpired } from "./run.ts";

/** A read ends once it has about this much data. */
export const READ_BYTES = 256 * 1024;
/** Batches that a read lists first: few, since each can have 64 KiB. */
export const FIRST_LIST_BATCHES = 8;

/** Where a read starts, and what is missing before it. */
interface ReadStart {
  /** The sequence just before the first event to read. */
  readonly after: number;
  readonly gap: Gap | undefined;
}

/** Returns where a reader at position `after` continues in the log that `head` describes. */
export function readStartOf(
  after: Position,
  head: Pick<StoredHead, "epoch" | "first" | "last" | "earlier">,
): ReadStart {
  const firstKept = head.first - 1;
  const gap = (reason: Gap["reason"], lost: number | null, last = firstKept): ReadStart => ({
    after: last,
    gap: {
      reason,
      requested: offsetOf(after),
      firstAvailable: formatOffset(head.epoch, last + 1),
      lost,
    },
  });
  const sequence = after.epoch === NO_EPOCH ? 0 : after.sequence;
  const isCurrent = after.epoch === head.epoch || after.epoch === NO_EPOCH;
  const earlier = isCurrent ? undefined : head.earlier?.find(({ epoch }) => epoch === after.epoch);
  if (!isCurrent && (earlier === undefined || sequence > earlier.last)) {
    return gap("recreated", null);
  }
  if (sequence > head.last) return gap("ahead", null);
  if (sequence < firstKept) return gap("expired", firstKept - sequence);
  return earlier === undefined ? { after: sequence, gap: undefined } : gap("restored", 0, sequence);
}

interface ReadOptions {
  readonly kv: Deno.Kv;
  readonly channelKey: ChannelKey;
  readonly after: Position;
  readonly limit: number;
  /** Events that expire until then are left out. */
  readonly now: number;
}

/** @see {@link import("./log.ts").Log.read} */
export async function readLog(
  { kv, channelKey, after, limit, now }: ReadOptions,
): Promise<ReadResult> {
  // Reads the head and the events at the same time. Either may be newer: a hole between them shows
  // in the sequences.
  const [entry, ahead] = await Promise.all([
    kv.get<StoredHead>(keys.head(channelKey)),
    after.epoch === NO_EPOCH
      ? undefined
      : listEvents({ kv, channelKey, epoch: after.epoch, after: after.sequence, limit }),
  ]);
  const head = entry.value ?? (await readHead(kv, channelKey)).head;
  if (head === null) return { runs: [], head: undefined };
  const { epoch } = head;
  const start = readStartOf(after, head);
  const isUsable = ahead !== undefined && start.after === after.sequence && after.epoch === epoch &&
    // Events that are older than the head do not reach its end: the head would promise too much.
    !(ahead.isEnd && (ahead.events.at(-1)?.sequence ?? start.after) < head.last);
  const { events } = isUsable
    ? ahead
    : await listEvents({ kv, channelKey, epoch, after: start.after, limit });
  return {
    runs: withoutExpired(toRuns(channelKey, epoch, start, events), now),
    head: head.deleted ? undefined : publicHead(head),
  };
}

/**
 * Returns events in log order as one run. There are more runs, with gaps, where sequences are
 * missing: retention has deleted events during the read.
 */
function toRuns(
  channelKey: ChannelKey,
  epoch: Epoch,
  start: ReadStart,
  events: readonly LogEvent[],
): readonly Run[] {
  const runs: Run[] = [];
  let { after, gap }: { after: number; gap: Gap | undefined } = start;
  let from = 0;
  const close = (to: number) => {
    if (to === from && gap === undefined) return;
    runs.push(new Run(channelKey, epoch, after, events.slice(from, to), gap));
  };
  events.forEach((event, at) => {
    const expected = after + (at - from) + 1;
    if (event.sequence === expected) return;
    const isAtStart = at === from && gap !== undefined;
    if (!isAtStart) close(at);
    const lost = event.sequence - expected;
    const firstAvailable = formatOffset(epoch, event.sequence);
    gap = isAtStart && gap !== undefined
      ? { ...gap, firstAvailable, lost: gap.lost === null ? null : gap.lost + lost }
      : {
        reason: "expired",
        requested: formatOffset(epoch, expected - 1),
        firstAvailable,
        lost,
      };
    after = event.sequence - 1;
    from = at;
  });
  close(events.length);
  return runs;
}

interface ListOptions {
  readonly kv: Deno.Kv;
  readonly channelKey: ChannelKey;
  readonly epoch: Epoch;
  /** The sequence just before the first event to list. */
  readonly after: number;
  readonly limit: number;
}

interface ListedEvents {
  readonly events: readonly LogEvent[];
  /** Whether the log had no more events. */
  readonly isEnd: boolean;
}

async function listEvents(
  { kv, channelKey, epoch, after, limit }: ListOptions,
): Promise<ListedEvents> {
  const events: LogEvent[] = [];
  let size = 0;
  let at = after;
  let want = FIRST_LIST_BATCHES;
  while (events.length < limit && size < READ_BYTES) {
    let batches = 0;
    const entries = kv.list<StoredBatch>({
      start: keys.batch(channelKey, epoch, at + 1),
      end: keys.batch(channelKey, epoch, Number.MAX_SAFE_INTEGER),
    }, { limit: want, batchSize: want });
    for await (const { value: batch } of entries) {
      batches++;
      const from = Math.max(0, at + 1 - batch.first);
      let to = from;
      while (to < batch.data.length && events.length + to - from < limit && size < READ_BYTES) {
        size += lengthOf(batch.data[to++]);
      }
      const stored = batch.data.slice(from, to);
      const data = stored.some(isBlobRef) ? await loadData(kv, channelKey, stored) : stored;
      data.forEach((value, i) => {
        if (value === undefined || isBlobRef(value)) return;
        events.push(unpackEvent(batch, from + i, value));
      });
      if (to < batch.data.length) return { events, isEnd: false };
      at = lastOf(batch);
      if (events.length >= limit || size >= READ_BYTES) return { events, isEnd: false };
    }
    if (batches < want) return { events, isEnd: true };
    const average = Math.max(1, size / batches);
    want = Math.ceil(
      Math.min(KV_LIMITS.list, Math.max(FIRST_LIST_BATCHES, (READ_BYTES - size) / average)),
    );
  }
  return { events, isEnd: false };
}

/** Returns the size of an event's data, in UTF-16 units or bytes. */
export function lengthOf(data: StoredData | undefined): number {
  if (data === undefined) return 0;
  return isBlobRef(data) ? data.bytes : data.length;
}
