import { KV_LIMITS } from "../kv/limits.ts";
import { concat } from "../shared/bytes.ts";
import { DEFAULT_TYPE, JSON_TYPE, type LogEvent } from "../shared/event.ts";

/**
 * The value of one log entry: the events of one channel that were committed together. Columns,
 * each left out where all its values are the usual ones, so that a small event costs little more
 * than its data.
 */
export interface StoredBatch {
  /** The commit that wrote it: tells a repeated commit from somebody else's. */
  readonly commit: string;
  /** Sequence of the first event. */
  readonly first: number;
  /** Bytes of data in this epoch's log up to and including this batch. */
  readonly endBytes: number;
  /** Of the first event; `delays` are the others' milliseconds after it. */
  readonly time: number;
  readonly delays?: readonly number[];
  readonly data: readonly StoredData[];
  readonly ids?: readonly (string | null)[];
  readonly types?: readonly string[];
  readonly contentTypes?: readonly string[];
  readonly keys?: readonly (string | null)[];
  readonly expiries?: readonly (number | null)[];
}

/** Data that lies in chunks of its own, since it is too large for a record batch. */
export interface BlobRef {
  readonly blob: string;
  readonly chunks: number;
  /** Bytes of UTF-8 if `text`. */
  readonly bytes: number;
  readonly text: boolean;
}

export type StoredData = string | Uint8Array | BlobRef;

/** An event on its way into a batch; `stored` is its data or where its chunks are. */
export interface PackedEvent {
  readonly event: LogEvent;
  readonly stored: StoredData;
  /** Of the data as published. */
  readonly bytes: number;
}

/** Data with a larger {@link storedSize} goes into chunks. */
export const MAX_INLINE_BYTES = 48_000;

/** What one batch's events may add up to; the rest of the value is for the columns' own bytes. */
const MAX_BATCH_BYTES = 60_000;
const CHUNK_BYTES = KV_LIMITS.valueBytes - 1_024;

/**
 * An upper bound of what the value costs in V8's serialization: Latin-1 one byte, else two. Only a
 * piece that was cut from wider text may be ASCII of two bytes; {@link narrowed} makes it one again.
 */
export function storedSize(data: StoredData, bytes: number): number {
  if (typeof data === "string") return 8 + (data.length === bytes ? bytes : 2 * data.length);
  return data instanceof Uint8Array ? 24 + data.length : 120;
}

/** ASCII text in V8's form of one byte a character. */
export function narrowed(data: StoredData): StoredData {
  if (typeof data !== "string") return data;
  const bytes = new TextEncoder().encode(data);
  return bytes.length === data.length ? new TextDecoder().decode(bytes) : data;
}

function textSize(text: string | undefined): number {
  return text === undefined ? 2 : 8 + 2 * text.length;
}

/** An upper bound of what the event adds to its batch. */
export function packedSize({ event, stored, bytes }: PackedEvent): number {
  return storedSize(stored, bytes) + namesSize(event);
}

/** The same, of what the event has beside its data. */
export function namesSize(
  { id, key, type, contentType }: Pick<LogEvent, "id" | "key" | "type" | "contentType">,
): number {
  return textSize(id) + textSize(key) +
    (type === DEFAULT_TYPE ? 18 : textSize(type)) +
    (contentType === JSON_TYPE ? 32 : textSize(contentType)) + 24;
}

/** The fewest batches that hold `events` in order, each within the limit of a value. */
export function packBatches(
  commit: string,
  startBytes: number,
  events: readonly PackedEvent[],
): readonly StoredBatch[] {
  const batches: StoredBatch[] = [];
  let from = 0;
  let size = 0;
  let endBytes = startBytes;
  for (let at = 0; at < events.length; at++) {
    const packed = events[at] as PackedEvent; // at < length
    const added = packedSize(packed);
    if (at > from && size + added > MAX_BATCH_BYTES) {
      batches.push(packBatch(commit, endBytes, events.slice(from, at)));
      from = at;
      size = 0;
    }
    size += added;
    endBytes += packed.bytes;
  }
  if (from < events.length) batches.push(packBatch(commit, endBytes, events.slice(from)));
  return batches;
}

function packBatch(
  commit: string,
  endBytes: number,
  packed: readonly PackedEvent[],
): StoredBatch {
  const events = packed.map(({ event }) => event);
  const { sequence, time } = events[0] as LogEvent; // packBatches makes no empty batch
  return {
    commit,
    first: sequence,
    endBytes,
    time,
    data: packed.map(({ stored }) => stored),
    ...events.some((e) => e.time !== time) && { delays: events.map((e) => e.time - time) },
    ...events.some((e) => e.id !== undefined) && { ids: events.map((e) => e.id ?? null) },
    ...events.some((e) => e.type !== DEFAULT_TYPE) && { types: events.map((e) => e.type) },
    ...events.some((e) => e.contentType !== JSON_TYPE) &&
      { contentTypes: events.map((e) => e.contentType) },
    ...events.some((e) => e.key !== undefined) && { keys: events.map((e) => e.key ?? null) },
    ...events.some((e) => e.expiresAt !== undefined) &&
      { expiries: events.map((e) => e.expiresAt ?? null) },
  };
}

/** Sequence of the batch's last event, the last part of its key. */
export function lastOf(batch: StoredBatch): number {
  return batch.first + batch.data.length - 1;
}

/** The event at `index`; `data` is what {@link StoredData} stands for. */
export function unpackEvent(
  batch: StoredBatch,
  index: number,
  data: string | Uint8Array,
): LogEvent {
  return {
    sequence: batch.first + index,
    id: batch.ids?.[index] ?? undefined,
    type: batch.types?.[index] ?? DEFAULT_TYPE,
    time: batch.time + (batch.delays?.[index] ?? 0),
    contentType: batch.contentTypes?.[index] ?? JSON_TYPE,
    data,
    key: batch.keys?.[index] ?? undefined,
    expiresAt: batch.expiries?.[index] ?? undefined,
  };
}

export function isBlobRef(data: StoredData): data is BlobRef {
  return typeof data === "object" && !(data instanceof Uint8Array);
}

/** Bytes of UTF-8 of an event's data, as retention counts them. */
export function dataBytes(data: StoredData): number {
  if (typeof data === "string") return new TextEncoder().encode(data).length;
  return data instanceof Uint8Array ? data.length : data.bytes;
}

/** `data` cut into the values of its chunks. */
export function splitChunks(data: string | Uint8Array): readonly Uint8Array[] {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    chunks.push(bytes.slice(at, at + CHUNK_BYTES));
  }
  return chunks;
}

/** The inverse of {@link splitChunks}. */
export function joinChunks(blob: BlobRef, chunks: readonly Uint8Array[]): string | Uint8Array {
  const bytes = concat(chunks);
  return blob.text ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) : bytes;
}
