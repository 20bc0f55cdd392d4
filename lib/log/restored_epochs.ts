import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import { readableRows } from "../kv/readable_rows.ts";
import { type Channel, type ChannelKey, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { Epoch } from "../shared/offset.ts";
import type { StoredEventId } from "./earlier_events.ts";
import { restoredHead, type StoredHead } from "./head.ts";
import { deletedLives, endLife } from "./life.ts";
import { RowWrites } from "./row_writes.ts";
import type { StoredBatch } from "./record_batch.ts";

/** Batches that are listed at once: few, since each can have 64 KiB. */
const LIST_BATCHES = 50;
interface RestoredEpochsOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Receives how many events have a new epoch so far. */
  readonly onProgress: (events: number) => void;
  /** Receives the key of a row that cannot be read, and is left as it is. */
  readonly onUnreadable: (key: Deno.KvKey) => void;
}

/**
 * Gives every channel of a copy of a store a new epoch, with the same events and sequences.
 *
 * Since the copy was made, readers may have received further events, whose sequences the copy will
 * give to others. In a new epoch their cursors are recognized: those from before the copy continue,
 * and the later ones get a gap. The same holds for epochs that are reserved for deleted channels.
 *
 * Nothing else may use the store. If it fails, the copy is of no use: make another one.
 */
export async function startRestoredEpochs(
  kv: Deno.Kv,
  { now, onProgress, onUnreadable }: RestoredEpochsOptions,
): Promise<void> {
  let events = 0;
  const heads = readableRows<StoredHead>(kv, {
    prefix: keys.allHeads(),
    parts: ["string", "string"],
    batchSize: 100,
    onUnreadable,
  });
  for await (const { key, value: before } of heads) {
    const [, tenant, channel] = key;
    const channelKey = channelKeyOf(tenant as Tenant, channel as Channel);
    const head = restoredHead(before, now);
    const writes = new RowWrites(kv);
    await moveBatches({ kv, channelKey, from: before.epoch, to: head.epoch, writes, onUnreadable });
    await moveIds({ kv, channelKey, from: before.epoch, to: head.epoch, writes, onUnreadable });
    const marker = await kv.get(keys.sweep(channelKey, before.epoch));
    if (marker.versionstamp !== null) {
      await writes.delete(marker.key);
      await writes.set(keys.sweep(channelKey, head.epoch), 0);
    }
    await writes.set(key, head);
    await writes.flush();
    events += before.last - before.first + 1;
    onProgress(events);
  }
  for await (const [channelKey, head] of deletedLives(kv)) {
    const atomic = kv.atomic();
    endLife(atomic, channelKey, restoredHead({ ...head, earlier: [] }, now));
    await atomic.commit();
  }
}

interface MoveOptions {
  readonly kv: Deno.Kv;
  readonly channelKey: ChannelKey;
  readonly from: Epoch;
  readonly to: Epoch;
  readonly writes: RowWrites;
  readonly onUnreadable: (key: Deno.KvKey) => void;
}

/** Moves the record batches. Chunks have no epoch in their keys. */
async function moveBatches(
  { kv, channelKey, from, to, writes, onUnreadable }: MoveOptions,
): Promise<void> {
  const batches = readableRows<StoredBatch>(kv, {
    prefix: keys.batches(channelKey, from),
    parts: ["integer"],
    batchSize: LIST_BATCHES,
    onUnreadable,
  });
  for await (const { key, value } of batches) {
    await writes.set(keys.batch(channelKey, to, key.at(-1) as number), value);
    await writes.delete(key);
  }
}

async function moveIds(
  { kv, channelKey, from, to, writes, onUnreadable }: MoveOptions,
): Promise<void> {
  const ids = readableRows<StoredEventId>(kv, {
    prefix: keys.seenIds(channelKey),
    parts: ["string"],
    batchSize: KV_LIMITS.list,
    onUnreadable,
  });
  for await (const { key, value: [epoch, sequence] } of ids) {
    if (epoch === from) await writes.set(key, [to, sequence] satisfies StoredEventId);
  }
}
