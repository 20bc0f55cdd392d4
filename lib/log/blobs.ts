import { keys } from "../kv/keys.ts";
import type { Address } from "../shared/channel.ts";
import type { Draft } from "./log.ts";
import { getMany } from "./head_cache.ts";
import {
  type Blob,
  isBlob,
  joinChunks,
  MAX_INLINE_BYTES,
  splitChunks,
  type StoredBatch,
  type StoredData,
  storedSize,
} from "./record_batch.ts";

/** What one atomic may hold of data: the rest is for keys, heads and bells. */
export const ATOMIC_DATA_BYTES = 600_000;

/** In an append that is too large for one atomic, everything above this goes into chunks. */
const MAX_INLINE_BYTES_LARGE_APPEND = 4_096;

/** An append's drafts as they will be stored. */
export interface StoredDrafts {
  readonly stored: readonly StoredData[];
  /** Chunks that go into the atomic of the events themselves. */
  readonly chunks: readonly { readonly key: Deno.KvKey; readonly value: Uint8Array }[];
  /** Bytes that the append brings to its atomic, at the most. */
  readonly size: number;
  /** Where the chunks were too much for that atomic and are to be written first. */
  readonly early: EarlyChunks | undefined;
}

/**
 * Chunks that are written before the events which refer to them, with a marker by which they are
 * found and deleted if that commit never comes. The commit checks the marker and deletes it, so
 * that it can't refer to chunks which were cleaned up meanwhile.
 */
export interface EarlyChunks {
  readonly marker: Deno.KvKey;
  readonly blobs: readonly (readonly [Address, string])[];
  readonly chunks: readonly { readonly key: Deno.KvKey; readonly value: Uint8Array }[];
  /** Of the marker, once they are written. */
  versionstamp: string | undefined;
}

/** The value of a marker: what to delete, and when it was written (ms since 1970). */
export interface Orphan {
  readonly time: number;
  readonly blobs: readonly (readonly [Address, string])[];
}

export function storeDrafts(drafts: readonly Draft[]): StoredDrafts {
  const sizes = drafts.map((draft) => storedSize(draft.data, draft.bytes) + 1_600);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const isLarge = total > ATOMIC_DATA_BYTES;
  const most = isLarge ? MAX_INLINE_BYTES_LARGE_APPEND : MAX_INLINE_BYTES;
  const chunks: { key: Deno.KvKey; value: Uint8Array }[] = [];
  const blobs: [Address, string][] = [];
  let size = 0;
  const stored = drafts.map((draft, i): StoredData => {
    size += sizes[i] ?? 0;
    if (storedSize(draft.data, draft.bytes) <= most) return draft.data;
    const blob = crypto.randomUUID();
    const parts = splitChunks(draft.data);
    parts.forEach((value, part) =>
      chunks.push({ key: keys.chunk(draft.address, blob, part), value })
    );
    blobs.push([draft.address, blob]);
    const text = typeof draft.data === "string";
    return { blob, chunks: parts.length, bytes: draft.bytes, text };
  });
  if (!isLarge) return { stored, chunks, size, early: undefined };
  const marker = keys.orphan(crypto.randomUUID());
  return { stored, chunks: [], size: 0, early: { marker, blobs, chunks, versionstamp: undefined } };
}

export async function writeEarly(kv: Deno.Kv, early: EarlyChunks, now: number): Promise<void> {
  if (early.versionstamp !== undefined) return;
  const orphan: Orphan = { time: now, blobs: early.blobs };
  const { versionstamp } = await kv.set(early.marker, orphan);
  for (let at = 0; at < early.chunks.length; at += 10) {
    const atomic = kv.atomic();
    for (const { key, value } of early.chunks.slice(at, at + 10)) atomic.set(key, value);
    await atomic.commit();
  }
  early.versionstamp = versionstamp;
}

/** Deletes the chunks of a blob. */
export async function deleteBlob(kv: Deno.Kv, address: Address, blob: string): Promise<void> {
  const found = kv.list({ prefix: keys.chunks(address, blob) }, { batchSize: 8 });
  for await (const { key } of found) await kv.delete(key);
}

/**
 * The data of every event of `batch`; undefined in place of data whose chunks are gone (retention
 * has passed them meanwhile).
 */
export async function loadData(
  kv: Deno.Kv,
  address: Address,
  batch: StoredBatch,
): Promise<readonly (string | Uint8Array | undefined)[]> {
  return await Promise.all(batch.data.map((data) => isBlob(data) ? load(data) : data));

  async function load(blob: Blob): Promise<string | Uint8Array | undefined> {
    const wanted = Array.from({ length: blob.chunks }, (_, i) => keys.chunk(address, blob.blob, i));
    const chunks = (await getMany<Uint8Array>(kv, wanted)).map(({ value }) => value);
    return chunks.every((chunk) => chunk !== null) ? joinChunks(blob, chunks) : undefined;
  }
}
