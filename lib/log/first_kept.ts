import { keys } from "../kv/keys.ts";
import { readableRows } from "../kv/readable_rows.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { StoredHead } from "./head.ts";
import type { Retention } from "./log.ts";
import { dataBytes, lastOf, type StoredBatch } from "./record_batch.ts";
import { isKept } from "./retention_limits.ts";

/** What a head says of its first kept event. */
export type LogStart = Pick<StoredHead, "first" | "oldest" | "startBytes">;

interface FirstKeptOptions {
  readonly kv: Deno.Kv;
  readonly channelKey: ChannelKey;
  readonly head: StoredHead;
  readonly limits: Retention;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Finds the first event that `limits` keep. Times and bytes never decrease along a log, so it is
 * searched by halves: the work does not grow with the number of events to drop.
 */
export async function findFirstKept(options: FirstKeptOptions): Promise<LogStart> {
  const { head, limits } = options;
  let found: LogStart = { first: head.last + 1, oldest: head.time, startBytes: head.endBytes };
  let low = Math.max(head.first, head.last - limits.events + 1);
  let high = head.last + 1;
  // Often nothing else but the number of events decides, and the first try succeeds.
  for (let middle = low; low < high; middle = Math.floor((low + high) / 2)) {
    const batch = await batchFrom(options, middle);
    const kept = batch && firstKeptOf(batch, options);
    if (batch !== undefined && kept === undefined) {
      low = lastOf(batch) + 1;
      continue;
    }
    if (kept !== undefined) found = kept;
    if (batch !== undefined && kept !== undefined && kept.first > batch.first) break;
    high = Math.min(middle, batch?.first ?? middle);
  }
  return found;
}

/** Reads the batch with the event, or the next one that there is. */
async function batchFrom(
  { kv, channelKey, head }: FirstKeptOptions,
  sequence: number,
): Promise<StoredBatch | undefined> {
  const batches = readableRows<StoredBatch>(kv, {
    prefix: keys.batches(channelKey, head.epoch),
    parts: ["integer"],
    start: keys.batch(channelKey, head.epoch, sequence),
    end: keys.batch(channelKey, head.epoch, head.last + 1),
    batchSize: 1,
    onUnreadable: () => {}, // it is reported when it is deleted
  });
  for await (const { value } of batches) return value;
  return undefined;
}

function firstKeptOf(
  batch: StoredBatch,
  { head, limits, now }: FirstKeptOptions,
): LogStart | undefined {
  const sizes = batch.data.map(dataBytes);
  let startBytes = batch.endBytes - sizes.reduce((sum, size) => sum + size, 0);
  for (const [i, size] of sizes.entries()) {
    const sequence = batch.first + i;
    const time = batch.time + (batch.delays?.[i] ?? 0);
    const event = { sequence, time, startBytes };
    if (sequence >= head.first && isKept(event, head, limits, now)) {
      return { first: sequence, oldest: time, startBytes };
    }
    startBytes += size;
  }
  return undefined;
}
