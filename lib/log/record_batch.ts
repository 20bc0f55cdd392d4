import { KV_LIMITS } from "../kv/limits.ts";
import { concat } from "../shared/bytes.ts";
import { DEFAULT_TYPE, JSON_TYPE, type LogEvent } from "../shared/event.ts";

/**
 * The value of one log entry: the events of one channel that were committed together, in columns. A
 * column is left out if all its values are the default, so that a small event takes little more than
 * its data.
 */
export interface StoredBatch {
  /** The commit that wrote it: distinguishes a repeated commit from that of another isolate. */
  readonly commit: string;
  /** Sequence of the first event. */
  readonly first: number;
  /** Bytes of data in this epoch's log up to and including this batch. */
  readonly endBytes: number;
  /** Time of the first event, in ms since 1970. `delays` are the ms from there to each event. */
  readonly time: number;
  readonly delays?: readonly number[];
  readonly data: readonly StoredData[];
  readonly ids?: readonly (string | null)[];
  readonly types?: readonly string[];
  readonly contentTypes?: readonly string[];
  readonly keys?: readonly (string | null)[];
  /** Of each event, or the one that published all of them. */
  readonly publishers?: string | readonly (string | null)[];
  /** As `publishers`. */
  readonly traceparents?: string | readonly (string | null)[];
  readonly expiries?: readonly (number | null)[];
}

/** Refers to data that is stored in chunks, since it is too large for a record batch. */
export interface BlobRef {
  readonly blob: string;
  readonly chunks: number;
  /** Size of the data; in UTF-8 if it is text. */
  readonly bytes: number;
  readonly text: boolean;
}

export type StoredData = string | Uint8Array | BlobRef;

/** An event that is about to be stored. `stored` is its data or a reference to its chunks. */
export interface PackedEvent {
  readonly event: LogEvent;
  readonly stored: StoredData;
  /** Size of the data as it was published. */
  readonly bytes: number;
}

/** Data with a larger {@link storedSize} is stored in chunks. */
export const MAX_INLINE_BYTES = 48_000;

/** Bytes of the events of one batch. The rest of the value is for the columns themselves. */
const MAX_BATCH_BYTES = 60_000;
const CHUNK_BYTES = KV_LIMITS.valueBytes - 1_024;

/**
 * Returns an upper bound of the bytes in V8's serialization: one per character of Latin-1, else two.
 * An exception is ASCII that was cut from wider text, which may have two: see {@link narrowed}.
 */
export function storedSize(data: StoredData, bytes: number): number {
  if (typeof data === "string") return 8 + (data.length === bytes ? bytes : 2 * data.length);
  return data instanceof Uint8Array ? 24 + data.length : 120;
}

/** Returns ASCII text in V8's form with one byte per character; other data as it is. */
export function narrowed(data: StoredData): StoredData {
  if (typeof data !== "string") return data;
  const bytes = new TextEncoder().encode(data);
  return bytes.length === data.length ? new TextDecoder().decode(bytes) : data;
}

function textSize(text: string | undefined): number {
  return text === undefined ? 2 : 8 + 2 * text.length;
}

/** Returns an upper bound of the bytes that the event adds to its batch. */
export function packedSize({ event, stored, bytes }: PackedEvent): number {
  return storedSize(stored, bytes) + namesSize(event);
}

/** Returns the part of {@link packedSize} that is not the data. */
export function namesSize(
  { id, key, publisher, traceparent, type, contentType }:
    & Pick<
      LogEvent,
      "id" | "key" | "publisher" | "type" | "contentType"
    >
    & Partial<Pick<LogEvent, "traceparent">>,
): number {
  return textSize(id) + textSize(key) + textSize(publisher) + textSize(traceparent) +
    (type === DEFAULT_TYPE ? 18 : textSize(type)) +
    (contentType === JSON_TYPE ? 32 : textSize(contentType)) + 24;
}

/** Packs `events` in order into as few batches as the limit of a value allows. */
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

/** Packs `packed`, of which there is at least one, into one batch. */
export function packBatch(
  commit: string,
  endBytes: number,
  packed: readonly PackedEvent[],
): StoredBatch {
  const events = packed.map(({ event }) => event);
  const { sequence, time } = events[0] as LogEvent;
  const publishers = sharedColumn(events, (e) => e.publisher);
  const traceparents = sharedColumn(events, (e) => e.traceparent);
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
    ...publishers !== undefined && { publishers },
    ...traceparents !== undefined && { traceparents },
    ...events.some((e) => e.expiresAt !== undefined) &&
      { expiries: events.map((e) => e.expiresAt ?? null) },
  };
}

/** Returns the sequence of the batch's last event, which is the last part of its key. */
export function lastOf(batch: StoredBatch): number {
  return batch.first + batch.data.length - 1;
}

/** Returns the event at `index` with `data`, which is loaded from its chunks if it has any. */
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
    publisher: valueAt(batch.publishers, index),
    traceparent: valueAt(batch.traceparents, index),
    expiresAt: batch.expiries?.[index] ?? undefined,
  };
}

/** A column that has one value instead of many equal ones. */
type SharedColumn = string | readonly (string | null)[] | undefined;

/** Returns the column of a value that `events`, of which there is at least one, have. */
function sharedColumn(
  events: readonly LogEvent[],
  valueOf: (event: LogEvent) => string | undefined,
): SharedColumn {
  const first = valueOf(events[0] as LogEvent);
  if (events.every((event) => valueOf(event) === first)) return first;
  return events.map((event) => valueOf(event) ?? null);
}

function valueAt(column: SharedColumn, index: number): string | undefined {
  return typeof column === "string" ? column : column?.[index] ?? undefined;
}

export function isBlobRef(data: StoredData): data is BlobRef {
  return typeof data === "object" && !(data instanceof Uint8Array);
}

/** Returns the size of an event's data as retention counts it, in UTF-8 if it is text. */
export function dataBytes(data: StoredData): number {
  if (typeof data === "string") return new TextEncoder().encode(data).length;
  return data instanceof Uint8Array ? data.length : data.bytes;
}

/** Splits `data` into the values of its chunks. */
export function splitChunks(data: string | Uint8Array): readonly Uint8Array[] {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    chunks.push(bytes.slice(at, at + CHUNK_BYTES));
  }
  return chunks;
}

/** Joins what {@link splitChunks} has split. */
export function joinChunks(blob: BlobRef, chunks: readonly Uint8Array[]): string | Uint8Array {
  const bytes = concat(chunks);
  return blob.text ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) : bytes;
}
