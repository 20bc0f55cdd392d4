import { keys } from "../kv/keys.ts";
import type { SerialQueue } from "../shared/async/serial_queue.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { Epoch } from "../shared/offset.ts";
import { getMany } from "./get_many.ts";
import { type BlobRef, isBlobRef, joinChunks, type StoredData } from "./record_batch.ts";
import type { RowDeletion } from "./row_deletion.ts";

/** Chunks in one commit. A chunk is nearly as large as a value may be, and a commit takes twelve. */
const CHUNKS_PER_COMMIT = 10;

/** A part of a blob, which is data that is too large for a record batch. */
export interface Chunk {
  readonly blob: string;
  readonly key: Deno.KvKey;
  readonly value: Uint8Array;
}

/**
 * Chunks that are written before the events which refer to them. A marker row lists them, so that
 * they are found and deleted if the commit of the events never succeeds. That commit checks the
 * marker and deletes it, so it cannot refer to chunks that were deleted.
 */
export interface EarlyChunks {
  readonly marker: Deno.KvKey;
  readonly blobs: readonly (readonly [ChannelKey, string])[];
  readonly chunks: readonly Chunk[];
  /** Versionstamp and time of the marker, once all chunks are written. */
  written: { readonly versionstamp: string; readonly time: number } | undefined;
}

/** The value of a marker: the blobs to delete, and when it was written (ms since 1970). */
export interface OrphanMarker {
  readonly time: number;
  readonly blobs: readonly (readonly [ChannelKey, string])[];
}

interface EarlyWriteOptions {
  readonly kv: Deno.Kv;
  /**
   * Runs the commits of chunks, of all appends of the isolate. Guards against several large appends
   * behind whose chunks every other commit would wait.
   */
  readonly queue: SerialQueue;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Returns what the names of all blobs of an import begin with. */
export function importBlobs(epoch: Epoch): string {
  return `import-${epoch}-`;
}

/** Writes the marker and then the chunks, unless they are written. */
export async function writeEarly(
  early: EarlyChunks,
  { kv, queue, now }: EarlyWriteOptions,
): Promise<void> {
  if (early.written !== undefined) return;
  const marker: OrphanMarker = { time: now, blobs: early.blobs };
  const { versionstamp } = await kv.set(early.marker, marker);
  for (let at = 0; at < early.chunks.length; at += CHUNKS_PER_COMMIT) {
    const atomic = kv.atomic();
    for (const { key, value } of early.chunks.slice(at, at + CHUNKS_PER_COMMIT)) {
      atomic.set(key, value);
    }
    await queue.run(() => atomic.commit());
  }
  early.written = { versionstamp, time: now };
}

/**
 * Adds to the commit of the events that their early chunks are in use. Those of `unused` stay in the
 * marker, so that retention deletes them.
 */
export function claimEarly(
  atomic: Deno.AtomicOperation,
  { marker, blobs, written }: EarlyChunks,
  unused: ReadonlySet<string>,
): void {
  if (written === undefined) return;
  atomic.check({ key: marker, versionstamp: written.versionstamp });
  const left = blobs.filter(([, blob]) => unused.has(blob));
  if (left.length === 0) atomic.delete(marker);
  else atomic.set(marker, { time: written.time, blobs: left } satisfies OrphanMarker);
}

/** Adds all chunks of a blob to `deletion`. */
export async function deleteBlob(
  kv: Deno.Kv,
  deletion: RowDeletion,
  channelKey: ChannelKey,
  blob: string,
): Promise<void> {
  const found = kv.list<Uint8Array>({ prefix: keys.chunks(channelKey, blob) }, { batchSize: 8 });
  for await (const { key, value } of found) await deletion.add(key, value.length);
}

/**
 * Loads the data of `stored` from its chunks where it has any. Undefined stands for data whose
 * chunks retention has deleted meanwhile.
 */
export async function loadData(
  kv: Deno.Kv,
  channelKey: ChannelKey,
  stored: readonly StoredData[],
): Promise<readonly (string | Uint8Array | undefined)[]> {
  return await Promise.all(stored.map((data) => isBlobRef(data) ? load(data) : data));

  async function load(blob: BlobRef): Promise<string | Uint8Array | undefined> {
    const wanted = Array.from(
      { length: blob.chunks },
      (_, i) => keys.chunk(channelKey, blob.blob, i),
    );
    const chunks = (await getMany<Uint8Array>(kv, wanted)).map(({ value }) => value);
    return chunks.every((chunk) => chunk !== null) ? joinChunks(blob, chunks) : undefined;
  }
}
