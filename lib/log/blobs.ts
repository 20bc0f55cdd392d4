import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { Draft } from "./log.ts";
import { getMany } from "./head_cache.ts";
import {
  type BlobRef,
  isBlobRef,
  joinChunks,
  MAX_INLINE_BYTES,
  namesSize,
  splitChunks,
  type StoredData,
  storedSize,
} from "./record_batch.ts";

/** What one atomic may hold of events: the rest is for keys, heads and bells. */
export const ATOMIC_DATA_BYTES = 600_000;

/** What one atomic may hold of its keys that events bring: the rest is for batches and bells. */
export const ATOMIC_KEY_BYTES = KV_LIMITS.atomicKeyBytes - 12_000;

/**
 * In an append that is too large for one atomic, everything above this goes into chunks: a hundred
 * events with the longest of names, each in a channel of its own, still fit.
 */
const MAX_INLINE_BYTES_LARGE_APPEND = 3_000;

/** What an id costs as a key of its own: with the channel's name it has 512 bytes at the most. */
const SEEN_BYTES = 600;
/** What an event counts at the least, so that a commit's mutations stay within their limit too. */
const MIN_NAMES_BYTES = 1_600;

export interface Chunk {
  readonly blob: string;
  readonly key: Deno.KvKey;
  readonly value: Uint8Array;
}

/** An append's drafts as they will be stored. */
export interface StoredDrafts {
  readonly stored: readonly StoredData[];
  /** Chunks that go into the atomic of the events themselves. */
  readonly chunks: readonly Chunk[];
  /** Bytes that the append brings to its atomic, at the most. */
  readonly size: number;
  /** Bytes of its ids' and chunks' keys, at the most. */
  readonly keyBytes: number;
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
  readonly blobs: readonly (readonly [ChannelKey, string])[];
  readonly chunks: readonly Chunk[];
  /** Of the marker, once they are all written. */
  written: { readonly versionstamp: string; readonly time: number } | undefined;
}

/** The value of a marker: what to delete, and when it was written (ms since 1970). */
export interface Orphan {
  readonly time: number;
  readonly blobs: readonly (readonly [ChannelKey, string])[];
}

export function storeDrafts(drafts: readonly Draft[]): StoredDrafts {
  const sizes = drafts.map((draft) => draftSize(draft));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const isLarge = total > ATOMIC_DATA_BYTES;
  const most = isLarge ? MAX_INLINE_BYTES_LARGE_APPEND : MAX_INLINE_BYTES;
  const chunks: Chunk[] = [];
  const blobs: [ChannelKey, string][] = [];
  let size = 0;
  let keyBytes = 0;
  const stored = drafts.map((draft, i): StoredData => {
    size += sizes[i] ?? 0;
    keyBytes += draft.rows?.keyBytes ?? 0;
    if (draft.id !== undefined) keyBytes += nameBytes(draft.channelKey) + nameBytes(draft.id) + 32;
    if (storedSize(draft.data, draft.bytes) <= most) return draft.data;
    const blob = crypto.randomUUID();
    const parts = splitChunks(draft.data);
    parts.forEach((value, part) =>
      chunks.push({ blob, key: keys.chunk(draft.channelKey, blob, part), value })
    );
    if (!isLarge) keyBytes += parts.length * (nameBytes(draft.channelKey) + 64);
    blobs.push([draft.channelKey, blob]);
    const text = typeof draft.data === "string";
    return { blob, chunks: parts.length, bytes: draft.bytes, text };
  });
  if (!isLarge) return { stored, chunks, size, keyBytes, early: undefined };
  const marker = keys.orphan(crypto.randomUUID());
  return {
    stored,
    chunks: [],
    size: 0,
    keyBytes,
    early: { marker, blobs, chunks, written: undefined },
  };
}

/** Bytes of the keys that a channel brings to a commit, at the most: of its head, twice, and batch. */
export function channelKeyBytes(channelKey: ChannelKey): number {
  return 3 * (nameBytes(channelKey) + 36);
}

/** An upper bound in UTF-8: that of short names without looking at each character. */
function nameBytes(name: string): number {
  return name.length <= 64 ? 3 * name.length : new TextEncoder().encode(name).length;
}

function draftSize(draft: Draft): number {
  const names = namesSize(draft) + (draft.id === undefined ? 0 : SEEN_BYTES);
  // Rows are mutations too: they count as much as names again.
  const rows = draft.rows === undefined ? 0 : draft.rows.valueBytes + MIN_NAMES_BYTES;
  return storedSize(draft.data, draft.bytes) + Math.max(names, MIN_NAMES_BYTES) + rows;
}

export async function writeEarly(kv: Deno.Kv, early: EarlyChunks, now: number): Promise<void> {
  if (early.written !== undefined) return;
  const orphan: Orphan = { time: now, blobs: early.blobs };
  const { versionstamp } = await kv.set(early.marker, orphan);
  for (let at = 0; at < early.chunks.length; at += 10) {
    const atomic = kv.atomic();
    for (const { key, value } of early.chunks.slice(at, at + 10)) atomic.set(key, value);
    await atomic.commit();
  }
  early.written = { versionstamp, time: now };
}

/**
 * Adds to the commit of the events that their early chunks are needed now; those in `unused` are
 * left to be cleaned up.
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
  else atomic.set(marker, { time: written.time, blobs: left } satisfies Orphan);
}

/** Deletes the chunks of a blob. */
export async function deleteBlob(kv: Deno.Kv, channelKey: ChannelKey, blob: string): Promise<void> {
  const found = kv.list({ prefix: keys.chunks(channelKey, blob) }, { batchSize: 8 });
  for await (const { key } of found) await retryLocked(() => kv.delete(key));
}

/**
 * What `stored` stands for; undefined in place of data whose chunks are gone (retention has passed
 * them meanwhile).
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
