import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { Chunk, EarlyChunks } from "./blobs.ts";
import type { Draft } from "./log.ts";
import {
  MAX_INLINE_BYTES,
  namesSize,
  splitChunks,
  type StoredData,
  storedSize,
} from "./record_batch.ts";

/** Bytes of events in one atomic commit. The rest is for keys, heads and the doorbell. */
export const ATOMIC_DATA_BYTES = 600_000;

/** Bytes of keys that the events of one atomic commit add. The rest is for the doorbell. */
export const ATOMIC_KEY_BYTES = KV_LIMITS.atomicKeyBytes - 12_000;

/**
 * The same as {@link MAX_INLINE_BYTES}, in an append that is too large for one atomic commit: a
 * hundred events with the longest names, each in a channel of its own, still fit.
 */
const MAX_INLINE_BYTES_LARGE_APPEND = 2_400;

/** Upper bound of an id's `seen` row: its key, with the channel's name, has up to 512 bytes. */
const SEEN_BYTES = 600;
/** What each event counts at least, so that a commit stays within its limit of mutations too. */
const MIN_NAMES_BYTES = 1_600;

/** The drafts of one append in the form in which they are stored. */
export interface StoredDrafts {
  /** The data of each draft, or a reference to its chunks. */
  readonly data: readonly StoredData[];
  /** Chunks that are written in the commit of the events. */
  readonly chunks: readonly Chunk[];
  /** Upper bound of the bytes that the append adds to its commit. */
  readonly atomicBytes: number;
  /** Upper bound of the bytes of its keys: of ids, chunks and rows. */
  readonly keyBytes: number;
  /** Chunks that are too large for the commit of the events, and are written before it. */
  readonly early: EarlyChunks | undefined;
}

/** Decides which drafts are stored in chunks, and where those are written. */
export function storeDrafts(drafts: readonly Draft[]): StoredDrafts {
  const sizes = drafts.map((draft) => draftSize(draft));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const isLarge = total > ATOMIC_DATA_BYTES;
  const maxInlineBytes = isLarge ? MAX_INLINE_BYTES_LARGE_APPEND : MAX_INLINE_BYTES;
  const chunks: Chunk[] = [];
  const blobs: [ChannelKey, string][] = [];
  let atomicBytes = 0;
  let keyBytes = 0;
  const data = drafts.map((draft, i): StoredData => {
    atomicBytes += sizes[i] ?? 0;
    keyBytes += draft.rows?.keyBytes ?? 0;
    if (draft.id !== undefined) keyBytes += nameBytes(draft.channelKey) + nameBytes(draft.id) + 32;
    if (storedSize(draft.data, draft.bytes) <= maxInlineBytes) return draft.data;
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
  if (!isLarge) return { data, chunks, atomicBytes, keyBytes, early: undefined };
  const marker = keys.orphan(crypto.randomUUID());
  const early = { marker, blobs, chunks, written: undefined };
  return { data, chunks: [], atomicBytes: 0, keyBytes, early };
}

/**
 * Returns an upper bound of the key bytes that a channel adds: its head and its batch, and a check
 * of the head or, for a new channel, of its life, which is written too.
 */
export function channelKeyBytes(channelKey: ChannelKey): number {
  return 4 * (nameBytes(channelKey) + 16);
}

/** Returns an upper bound of the UTF-8 bytes; for short names without encoding them. */
function nameBytes(name: string): number {
  return name.length <= 64 ? 3 * name.length : new TextEncoder().encode(name).length;
}

function draftSize(draft: Draft): number {
  const names = namesSize(draft) + (draft.id === undefined ? 0 : SEEN_BYTES);
  // Rows are mutations too, so they count as much as names do.
  const rows = draft.rows === undefined ? 0 : draft.rows.valueBytes + MIN_NAMES_BYTES;
  return storedSize(draft.data, draft.bytes) + Math.max(names, MIN_NAMES_BYTES) + rows;
}
