import { ConflictError } from "../kv/commit_retry.ts";
import type { Channel, ChannelKey, Tenant } from "../shared/channel.ts";
import type { Epoch, Offset, Position } from "../shared/offset.ts";
import type { Problem } from "../shared/problem.ts";
import type { Run } from "./run.ts";

/** An event that is not stored yet. */
export interface Draft {
  readonly channelKey: ChannelKey;
  /** Deduplicates: a draft with the id of a kept event is a repeat of that event. */
  readonly id: string | undefined;
  readonly type: string;
  readonly contentType: string;
  readonly data: string | Uint8Array;
  /** Size of the data in bytes of UTF-8. */
  readonly bytes: number;
  readonly key: string | undefined;
  /** Who publishes it, by its credential; never by what the producer sent. */
  readonly publisher: string | undefined;
  /** The span that publishes it, as in a {@link import("../shared/event.ts").LogEvent}. */
  readonly traceparent?: string | undefined;
  /** Time to live: readers get the event for this long. */
  readonly ttlMs: number | undefined;
  /** Rows that are written in the commit of the event. */
  readonly rows?: RowChange;
  /** Refuses the event where its channel keeps too much already. @default unlimited */
  readonly capacity?: Capacity;
  /** Stores the event from the disk's reserve if the disk is full. @default false */
  readonly isEssential?: boolean;
}

/** How much a channel may keep with an event. What retention has not removed yet counts. */
export interface Capacity {
  readonly events: number;
  /** Bytes of data. */
  readonly bytes: number;
  /** Returns why the event is refused. */
  readonly refusal: () => Problem;
}

/** Rows of the store that change together with an event: either both are written, or neither. */
export interface RowChange {
  /** Rows as they were read. Each takes one of the checks that a commit may have. */
  readonly checks: readonly Deno.AtomicCheck[];
  /** Rows that must not exist. Only commits with an event of the same channel may create them. */
  readonly absent: readonly Deno.KvKey[];
  /** Upper bound of the bytes of all keys, including those of the checks. */
  readonly keyBytes: number;
  /** Upper bound of the bytes of all values. */
  readonly valueBytes: number;
  /** Adds the mutations, at most 3, of an event with this offset. */
  readonly write: (atomic: Deno.AtomicOperation, offset: Offset) => void;
}

/** An event was not stored, because rows that change with it have changed meanwhile. */
export class StaleRowsError extends ConflictError {
  override readonly name = "StaleRowsError";

  constructor() {
    super("Cannot store the event: rows that change with it have changed meanwhile.");
  }
}

/** Where an event is in the log. */
export interface AppendedEvent {
  readonly offset: Offset;
  readonly id: string;
  /** Whether the log already had an event with this id, which is the one at `offset`. */
  readonly duplicate: boolean;
}

/** The limits of what a channel keeps. Each of them drops the oldest events first. */
export interface Retention {
  /** Maximum age of an event in milliseconds. */
  readonly age: number;
  readonly events: number;
  /** Bytes of data. */
  readonly bytes: number;
}

/** The state of one channel. */
export interface Head {
  readonly epoch: Epoch;
  /** Sequence of the first kept event; `last + 1` if there is none. */
  readonly first: number;
  /** Sequence of the last event; 0 if there was none yet. */
  readonly last: number;
  /** Time of the last event, or of the creation, in ms since 1970. */
  readonly time: number;
  /** Bytes of the kept data. */
  readonly bytes: number;
  /** The limits that were configured for the channel. */
  readonly retention: Partial<Retention>;
}

export interface ChannelInfo extends Head {
  readonly channel: Channel;
}

export interface ReadResult {
  /** In log order; the first may begin with a gap. Empty if nothing follows the position yet. */
  readonly runs: readonly Run[];
  /** The head, no newer than `runs`. Undefined if the channel does not exist. */
  readonly head: Head | undefined;
}

/** The positions between which a channel's kept events are. */
export interface Bounds {
  /** The position before the first kept event. */
  readonly start: Position;
  /** The position after the last event. */
  readonly end: Position;
}

/** What was read back from a position. */
export interface ReadBeforeResult {
  /** In log order. A gap stands for expired events. */
  readonly runs: readonly Run[];
  /** The position after the last event that could be in `runs`. */
  readonly end: Position;
  /** The position before the first event that could be. Undefined if no earlier event is kept. */
  readonly start: Position | undefined;
}

/** Follows one channel. A channel has at most one listener in an isolate. */
export interface LogListener {
  /** The position after the last event that the listener has taken in. */
  readonly position: Position;
  /**
   * Events were committed, by this isolate or another. Called after the commit; in sequence order
   * for those of this isolate, while others may be early, late or known. If events are missing before
   * them, the listener must read the log.
   */
  appended(run: Run): void;
  /** Another isolate may have changed the channel. The listener must read the log to find out. */
  changed(): void;
}

/**
 * Durable, ordered logs of events: one for each channel.
 *
 * Sequences are dense within an epoch. The times of a channel's events never decrease. Once `append`
 * has resolved, every later `read` in every isolate returns the events.
 */
export interface Log {
  /**
   * Appends all drafts in one atomic commit, or none of them. Resolves once they are durable, in the
   * order of the drafts. Drafts of one channel keep their order, also across calls.
   *
   * @throws {Problem} `overloaded`, `idempotency_conflict` (with the index), `contended`,
   * `storage_*`, `shutting_down`; the refusal of a {@link Capacity}; `commit_unknown` if the store
   * did not answer in time, so that the events may be stored or not.
   * @throws {StaleRowsError} if rows that change with an event have changed since they were read.
   */
  append(drafts: readonly Draft[]): Promise<readonly AppendedEvent[]>;

  /**
   * Returns the head as it is at some time after the call. Calls at the same time share a read.
   *
   * @throws {Problem} `storage_*`
   */
  head(channelKey: ChannelKey): Promise<Head | undefined>;

  /**
   * Returns the bounds as they are at some time after the call. Those of a deleted channel are after
   * all its events, at the start of its next life. Those of one that never existed are
   * {@link import("../shared/offset.ts").ORIGIN}.
   *
   * @throws {Problem} `storage_*`
   */
  bounds(channelKey: ChannelKey): Promise<Bounds>;

  /**
   * Reads the events after `after`: up to about `limit` of them and 256 KiB, but at least one if
   * there is one. A gap stands for events that are missing.
   *
   * @throws {Problem} `storage_*`
   */
  read(channelKey: ChannelKey, after: Position, limit: number): Promise<ReadResult>;

  /**
   * Reads the last events before the event at `before`, or before the end of the log if it is
   * undefined: up to about `limit` of them and 256 KiB, but at least one if there is one. Expired
   * events count. Nothing is before the positions of another epoch.
   *
   * @throws {Problem} `storage_*`
   */
  readBefore(
    channelKey: ChannelKey,
    before: Position | undefined,
    limit: number,
  ): Promise<ReadBeforeResult>;

  /** Lists the channels of a tenant whose names follow `after`, in the order of their names. */
  channels(tenant: Tenant, after: string, limit: number): Promise<readonly ChannelInfo[]>;

  /** Sets what the channel keeps. Creates the channel if it does not exist. */
  configure(channelKey: ChannelKey, retention: Partial<Retention>): Promise<Head>;

  /** Deletes the channel. Returns false if it does not exist. */
  delete(channelKey: ChannelKey): Promise<boolean>;

  /** Calls `listener` until the result is disposed. */
  listen(channelKey: ChannelKey, listener: LogListener): Disposable;

  /** Does one pass of retention over all channels, unless another isolate does. */
  retain(): Promise<void>;

  /** Refuses new appends, finishes the work under way and releases the retention lease. */
  close(): Promise<void>;
}
