import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { DEFAULT_TYPE, JSON_TYPE, type LogEvent } from "../shared/event.ts";
import type { Epoch } from "../shared/offset.ts";
import { importBlobs } from "./blobs.ts";
import { sumChannels } from "./channel_counts.ts";
import type { StoredEventId } from "./earlier_events.ts";
import type { StoredHead } from "./head.ts";
import {
  awaitImportLease,
  ImportLease,
  type ImportLeaseOptions,
  ImportRefusedError,
} from "./import_lease.ts";
import { beginLife, readHead } from "./life.ts";
import type { Retention } from "./log.ts";
import {
  dataBytes,
  lastOf,
  MAX_INLINE_BYTES,
  packBatches,
  type PackedEvent,
  packedSize,
  splitChunks,
  type StoredBatch,
  storedSize,
} from "./record_batch.ts";
import { RowWrites } from "./row_writes.ts";

/** Events that are written together, and about the bytes of them. */
const MAX_EVENTS = 500;
const MAX_BYTES = 256 * 1024;

/** What a channel is to become. */
interface ImportedChannel {
  readonly channelKey: ChannelKey;
  readonly epoch: Epoch;
  /** Sequence of the first kept event; `last + 1` if there is none. */
  readonly first: number;
  readonly last: number;
  /** Time of the last event, in ms since 1970. */
  readonly time: number;
  readonly retention: Partial<Retention>;
}

interface ImportOptions extends ImportLeaseOptions {
  readonly doorbell: Doorbell;
}

/**
 * Writes a channel with given offsets. Its events are written first and its head last, so that it
 * appears as a whole. An import that was interrupted continues after the events that it has written.
 * If nobody continues it for an hour, retention deletes them.
 *
 * Only one import of a channel runs at a time: {@link ImportLease}.
 */
export class ChannelImport implements AsyncDisposable {
  readonly #options: ImportOptions;
  readonly #channel: ImportedChannel;
  readonly #lease: ImportLease;
  readonly #writes: RowWrites;
  /** The row that changes if somebody else creates the channel. */
  readonly #row: Deno.AtomicCheck;
  /** Whether an interrupted import has written a part of the channel. */
  readonly isContinued: boolean;
  #events: PackedEvent[] = [];
  #size = 0;
  #endBytes: number;
  /** The last event that is written or about to be. */
  #last: number;
  #time: number;
  /** Time of the first kept event. */
  #oldest: number | undefined;

  private constructor(
    options: ImportOptions,
    channel: ImportedChannel,
    lease: ImportLease,
    row: Deno.AtomicCheck,
    written: StoredBatch | undefined,
    first: StoredBatch | undefined,
  ) {
    this.#options = options;
    this.#channel = channel;
    this.#lease = lease;
    this.#writes = new RowWrites(options.kv, (atomic) => lease.commit(atomic));
    this.#row = row;
    this.isContinued = written !== undefined;
    this.#endBytes = written?.endBytes ?? 0;
    this.#last = written === undefined ? channel.first - 1 : lastOf(written);
    this.#oldest = first?.time;
    this.#time = written === undefined ? 0 : written.time + (written.delays?.at(-1) ?? 0);
  }

  /**
   * Begins or continues the import of a channel. Undefined if it was imported before. On a store
   * that several processes use, waits up to 10 s until an import that was killed has lost its lease.
   *
   * @throws {ImportRefusedError} if the channel exists, its events are being deleted, or another
   * import of it runs.
   */
  static async begin(
    options: ImportOptions,
    channel: ImportedChannel,
  ): Promise<ChannelImport | undefined> {
    const { kv } = options;
    const { channelKey, epoch, last } = channel;
    const free = await awaitImportLease(options, channelKey);
    const { head, row } = await readHead(kv, channelKey);
    if (head !== null && !head.deleted) {
      if (head.epoch === epoch && head.last === last) return undefined;
      throw new ImportRefusedError("it exists already. Use another tenant or another store");
    }
    // Offsets of a channel only grow: readers would take the imported ones for old.
    if (head !== null && head.epoch > epoch) {
      throw new ImportRefusedError("it was deleted here within the last 24 hours");
    }
    await using undo = new AsyncDisposableStack();
    const lease = undo.use(
      await ImportLease.take(options, { channelKey, epoch, lease: free, row }),
    );
    const prefix = keys.batches(channelKey, epoch);
    const [written] = await Array.fromAsync(
      kv.list<StoredBatch>({ prefix }, { limit: 1, reverse: true }),
    );
    const [first] = await Array.fromAsync(kv.list<StoredBatch>({ prefix }, { limit: 1 }));
    undo.move();
    return new ChannelImport(options, channel, lease, row, written?.value, first?.value);
  }

  /** The sequence of the last event that need not be added any more. */
  get last(): number {
    return this.#last;
  }

  /**
   * Adds an event. Those before it that are missing count as expired. Ignores events that an
   * interrupted import has written. The time is never before that of earlier events.
   *
   * @throws {ImportRefusedError} if another import of the channel has begun.
   */
  async add(event: LogEvent): Promise<void> {
    if (event.sequence <= this.#last) return;
    const isNext = event.sequence === this.#last + 1;
    if (!isNext || this.#events.length >= MAX_EVENTS || this.#size >= MAX_BYTES) {
      await this.#flush();
    }
    const time = Math.max(event.time, this.#time);
    const bytes = dataBytes(event.data);
    const stored = storedSize(event.data, bytes) <= MAX_INLINE_BYTES
      ? event.data
      : await this.#writeChunks(event, bytes);
    const packed: PackedEvent = { event: { ...event, time }, stored, bytes };
    this.#events.push(packed);
    this.#size += packedSize(packed);
    this.#last = event.sequence;
    this.#time = time;
    this.#oldest ??= time;
  }

  /**
   * Makes the channel appear.
   *
   * @throws {ImportRefusedError} if it exists by now, or another import of it has begun.
   */
  async finish(): Promise<void> {
    const { channelKey, epoch, first, last, retention } = this.#channel;
    // A reader needs a row at the end of the log to learn of what is missing before it.
    if (this.#last < last) await this.add(expiredEvent(last, this.#time));
    await this.#flush();
    const time = Math.max(this.#channel.time, this.#time);
    const head: StoredHead = {
      epoch,
      first,
      last,
      time,
      oldest: this.#oldest ?? time,
      startBytes: 0,
      endBytes: this.#endBytes,
      retention,
      deleted: false,
    };
    const { kv, doorbell } = this.#options;
    const atomic = kv.atomic().check(this.#row).set(keys.head(channelKey), head);
    beginLife(atomic, channelKey);
    sumChannels(atomic, [channelKey], 1);
    doorbell.prepare(atomic, [{ channelKey }]);
    const { versionstamp } = await this.#lease.end(atomic);
    doorbell.committed([{ channelKey }], versionstamp);
  }

  /** Lets retention delete what was written. */
  async abandon(): Promise<void> {
    await this.#lease.abandon();
  }

  /** Stops before the end, so that the import can be continued. Does nothing after the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lease[Symbol.asyncDispose]();
  }

  async #flush(): Promise<void> {
    if (this.#events.length === 0) return;
    const { channelKey, epoch } = this.#channel;
    const batches = packBatches(crypto.randomUUID(), this.#endBytes, this.#events);
    // The batches come last: an import that continues adds no event that is in one.
    for (const { event } of this.#events) {
      if (event.id === undefined) continue;
      const seen: StoredEventId = [epoch, event.sequence];
      await this.#writes.set(keys.seen(channelKey, event.id), seen);
    }
    for (const batch of batches) {
      await this.#writes.set(keys.batch(channelKey, epoch, lastOf(batch)), batch);
    }
    await this.#writes.flush();
    this.#endBytes = batches.at(-1)?.endBytes ?? this.#endBytes;
    this.#events = [];
    this.#size = 0;
  }

  async #writeChunks({ data, sequence }: LogEvent, bytes: number): Promise<PackedEvent["stored"]> {
    const { channelKey, epoch } = this.#channel;
    // The same name again after an interruption, so that no chunk is left without an event.
    const blob = `${importBlobs(epoch)}${sequence}`;
    const chunks = splitChunks(data);
    for (const [i, value] of chunks.entries()) {
      await this.#writes.set(keys.chunk(channelKey, blob, i), value);
    }
    return { blob, chunks: chunks.length, bytes, text: typeof data === "string" };
  }
}

/** Stands for events that are no longer there. */
function expiredEvent(sequence: number, time: number): LogEvent {
  return {
    sequence,
    id: undefined,
    type: DEFAULT_TYPE,
    time,
    contentType: JSON_TYPE,
    data: "null",
    key: undefined,
    publisher: undefined,
    traceparent: undefined,
    expiresAt: 0,
  };
}
