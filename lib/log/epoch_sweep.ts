import { keys } from "../kv/keys.ts";
import { readableRows } from "../kv/readable_rows.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { Epoch } from "../shared/offset.ts";
import { importBlobs } from "./blobs.ts";
import type { StoredEventId } from "./earlier_events.ts";
import { getMany } from "./get_many.ts";
import type { StoredHead } from "./head.ts";
import { dataBytes, isBlobRef, type StoredBatch } from "./record_batch.ts";
import type { RowDeletion } from "./row_deletion.ts";

interface EpochSweepOptions {
  readonly kv: Deno.Kv;
  readonly channelKey: ChannelKey;
  readonly epoch: Epoch;
  readonly deletion: RowDeletion;
  /** Returns false if the sweep must end: another isolate does retention. */
  readonly mayContinue: () => Promise<boolean>;
  /** Receives the key of a batch that cannot be read. It is deleted, without its ids and chunks. */
  readonly onUnreadable: (key: Deno.KvKey, cause: unknown) => void;
}

/**
 * Deletes the batches of an epoch before the first kept event, with their ids and chunks; all of
 * them if the epoch has ended. A batch goes last, so that a sweep which is cut off finds the rest
 * again. Returns whether the sweep has reached its end.
 */
export async function sweepEpoch(options: EpochSweepOptions): Promise<boolean> {
  const { kv, channelKey, epoch, deletion, mayContinue, onUnreadable } = options;
  const head = (await kv.get<StoredHead>(keys.head(channelKey))).value;
  const unreadable: Deno.KvKey[] = [];
  const batches = readableRows<StoredBatch>(kv, {
    prefix: keys.batches(channelKey, epoch),
    parts: ["integer"],
    end: keys.batch(
      channelKey,
      epoch,
      head?.epoch === epoch ? head.first : Number.MAX_SAFE_INTEGER,
    ),
    batchSize: 8,
    onUnreadable: (key, cause) => {
      unreadable.push(key);
      onUnreadable(key, cause);
    },
  });
  for await (const { key, value } of batches) {
    if (!await mayContinue()) return false;
    let bytes = 0;
    for (const data of value.data) {
      bytes += isBlobRef(data) ? 0 : dataBytes(data);
      if (!isBlobRef(data)) continue;
      for (let i = 0; i < data.chunks; i++) {
        await deletion.add(keys.chunk(channelKey, data.blob, i), data.bytes / data.chunks);
      }
    }
    for (const entry of await readIds(options, value)) await deletion.addUnchanged(entry);
    await deletion.add(key, bytes);
  }
  for (const key of unreadable) await deletion.add(key, 0);
  await deletion.flush();
  return true;
}

/**
 * Deletes the ids and chunks that an import has written before the batches which name them. Returns
 * whether the sweep has reached its end.
 */
export async function sweepUnfinished(
  { kv, channelKey, epoch, deletion, mayContinue, onUnreadable }: EpochSweepOptions,
): Promise<boolean> {
  const blobs = importBlobs(epoch);
  const chunks = kv.list<Uint8Array>({
    start: keys.chunks(channelKey, blobs),
    end: keys.chunks(channelKey, `${blobs}:`), // after all digits
  }, { batchSize: 8 });
  for await (const { key, value } of chunks) {
    if (!await mayContinue()) return false;
    await deletion.add(key, value.length);
  }
  const ids = readableRows<StoredEventId>(kv, {
    prefix: keys.seenIds(channelKey),
    parts: ["string"],
    batchSize: 100,
    onUnreadable,
  });
  for await (const entry of ids) {
    if (!await mayContinue()) return false;
    if (entry.value[0] === epoch) await deletion.addUnchanged(entry);
  }
  await deletion.flush();
  return true;
}

/** Reads the `seen` keys of the batch's events, without those that a later event has taken. */
async function readIds(
  { kv, channelKey, epoch }: EpochSweepOptions,
  batch: StoredBatch,
): Promise<readonly Deno.KvEntryMaybe<StoredEventId>[]> {
  const named = (batch.ids ?? []).flatMap((id, i) =>
    id === null ? [] : [{ key: keys.seen(channelKey, id), sequence: batch.first + i }]
  );
  const entries = await getMany<StoredEventId>(kv, named.map(({ key }) => key));
  return entries.filter(({ value }, i) => value?.[0] === epoch && value[1] === named[i]?.sequence);
}
