import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { LogEvent } from "../shared/event.ts";
import { type Epoch, ORIGIN, type Position } from "../shared/offset.ts";
import { loadData } from "./blobs.ts";
import { readHead } from "./life.ts";
import type { ReadBeforeResult } from "./log.ts";
import { FIRST_LIST_BATCHES, lengthOf, READ_BYTES } from "./reader.ts";
import { isBlobRef, lastOf, type StoredBatch, unpackEvent } from "./record_batch.ts";
import { Run, withoutExpired } from "./run.ts";

interface ReadBeforeOptions {
  readonly kv: Deno.Kv;
  readonly channelKey: ChannelKey;
  /** Undefined stands for the end of the log. */
  readonly before: Position | undefined;
  readonly limit: number;
  /** Events that expire until then are left out. */
  readonly now: number;
}

/** @see {@link import("./log.ts").Log.readBefore} */
export async function readLogBefore(
  { kv, channelKey, before, limit, now }: ReadBeforeOptions,
): Promise<ReadBeforeResult> {
  const { head } = await readHead(kv, channelKey);
  const isEarlierLife = before !== undefined && before.epoch !== head?.epoch;
  if (head === null || head.deleted || isEarlierLife) {
    return { runs: [], end: positionBefore(before), start: undefined };
  }
  const { epoch, first } = head;
  const last = Math.min(before === undefined ? Infinity : before.sequence - 1, head.last);
  const end = { epoch, sequence: Math.max(0, last) };
  if (last < first) return { runs: [], end, start: undefined };
  const events = await listEventsBack({ kv, channelKey, epoch, first, last, limit });
  const after = last - events.length;
  const run = new Run(channelKey, epoch, after, events);
  return {
    runs: events.length === 0 ? [] : withoutExpired([run], now),
    end,
    start: events.length === 0 || after < first ? undefined : { epoch, sequence: after },
  };
}

function positionBefore(before: Position | undefined): Position {
  if (before === undefined) return ORIGIN;
  return { epoch: before.epoch, sequence: Math.max(0, before.sequence - 1) };
}

interface ListOptions {
  readonly kv: Deno.Kv;
  readonly channelKey: ChannelKey;
  readonly epoch: Epoch;
  /** The sequence of the first kept event. */
  readonly first: number;
  /** The sequence of the last event to list. */
  readonly last: number;
  readonly limit: number;
}

/**
 * Returns the consecutive events up to `last`, in log order: about `limit` of them and
 * {@link READ_BYTES}, but at least one. There are fewer if retention deletes them meanwhile.
 */
async function listEventsBack(options: ListOptions): Promise<readonly LogEvent[]> {
  const { kv, channelKey, first, last, limit } = options;
  const events: LogEvent[] = []; // the latest first
  let size = 0;
  for await (const batch of listBatchesBack(options)) {
    const to = last - events.length - batch.first + 1;
    if (to > batch.data.length) break; // the batch between was deleted
    const least = Math.max(0, first - batch.first, to - (limit - events.length));
    let from = to;
    while (from > least) {
      const added = lengthOf(batch.data[from - 1]);
      if (size > 0 && size + added > READ_BYTES) break;
      size += added;
      from--;
    }
    const stored = batch.data.slice(from, to);
    const data = stored.some(isBlobRef) ? await loadData(kv, channelKey, stored) : stored;
    for (let at = to - 1; at >= from; at--) {
      const value = data[at - from];
      if (value === undefined || isBlobRef(value)) return events.reverse(); // deleted meanwhile
      events.push(unpackEvent(batch, at, value));
    }
    if (from > 0 || events.length >= limit) break;
  }
  return events.reverse();
}

/** Lists the batches up to the one with the event `last`, the latest first. */
async function* listBatchesBack(
  { kv, channelKey, epoch, first, last }: ListOptions,
): AsyncGenerator<StoredBatch> {
  const batchKey = (sequence: number) => keys.batch(channelKey, epoch, sequence);
  const fromLast = { start: batchKey(last), end: batchKey(Number.MAX_SAFE_INTEGER) };
  for await (const { value } of kv.list<StoredBatch>(fromLast, { limit: 1 })) yield value;
  let end = last;
  for (let want = FIRST_LIST_BATCHES;; want = Math.min(KV_LIMITS.list, 4 * want)) {
    let batches = 0;
    const entries = kv.list<StoredBatch>(
      { start: batchKey(first), end: batchKey(end) },
      { reverse: true, limit: want, batchSize: want },
    );
    for await (const { value } of entries) {
      batches++;
      end = lastOf(value);
      yield value;
    }
    if (batches < want) return;
  }
}
