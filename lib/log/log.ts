import { ConflictError } from "../kv/commit_retry.ts";
import type { Channel, ChannelKey, Tenant } from "../shared/channel.ts";
import type { Epoch, Offset, Position } from "../shared/offset.ts";
import type { Run } from "./run.ts";

/** An event that isn't in the log yet. */
export interface Draft {
  readonly channelKey: ChannelKey;
  /** Deduplicates: a second draft with the id of a kept event is that event. */
  readonly id: string | undefined;
  readonly type: string;
  readonly contentType: string;
  readonly data: string | Uint8Array;
  /** Size of the data in bytes of UTF-8. */
  readonly bytes: number;
  readonly key: string | undefined;
  /** Milliseconds that the event is worth reading. */
  readonly ttlMs: number | undefined;
  /** What else is written in the event's own commit. */
  readonly rows?: RowChange;
}

/** Rows of the store that change together with an event: both do, or neither. */
export interface RowChange {
  /** Rows as they were read. Each takes one of the few checks that a commit may have. */
  readonly checks: readonly Deno.AtomicCheck[];
  /** Rows that are not there, and only ever come with an event of the same channel. */
  readonly absent: readonly Deno.KvKey[];
  /** Of all keys, those of the checks too, at the most. */
  readonly keyBytes: number;
  /** Of all values, at the most. */
  readonly valueBytes: number;
  /** Adds what is to be written, 3 mutations at the most, for an event that gets this offset. */
  readonly write: (atomic: Deno.AtomicOperation, offset: Offset) => void;
}

/** An event was not stored because rows that were to change with it have changed meanwhile. */
export class StaleRowsError extends ConflictError {
  override readonly name = "StaleRowsError";

  constructor() {
    super("rows that were to change with an event have changed");
  }
}

export interface AppendedEvent {
  readonly offset: Offset;
  readonly id: string;
  /** True where the event was in the log already, under the same id. */
  readonly duplicate: boolean;
}

/** What a channel keeps at the most: each limit drops the oldest events first. */
export interface Retention {
  /** Milliseconds. */
  readonly age: number;
  readonly events: number;
  /** Of data. */
  readonly bytes: number;
}

/** One channel as it stands. */
export interface Head {
  readonly epoch: Epoch;
  /** Sequence of the first kept event; `last + 1` where none is. */
  readonly first: number;
  /** Sequence of the last event; 0 where there was none yet. */
  readonly last: number;
  /** Milliseconds since 1970 of the last event, or of the creation. */
  readonly time: number;
  /** Bytes of data kept. */
  readonly bytes: number;
  /** What differs from the defaults. */
  readonly retention: Partial<Retention>;
}

export interface ChannelInfo extends Head {
  readonly channel: Channel;
}

export interface ReadResult {
  /** In log order; the first may open with a gap. Empty: nothing after the position yet. */
  readonly runs: readonly Run[];
  /** The head as it was no later than the read; none for a channel that doesn't exist. */
  readonly head: Head | undefined;
}

/** Told of one channel's news; at most one listener a channel. */
export interface LogListener {
  /** Events were committed by this isolate. Called in sequence order, after the commit. */
  appended(run: Run): void;
  /** Something may have changed elsewhere. Only a doorbell: read the log for the truth. */
  changed(): void;
}

/**
 * Durable, ordered logs of events, one a channel.
 *
 * Sequences are dense within an epoch, an event's time never goes backwards within a channel, and
 * what `append` has answered is read by every later `read` in every isolate.
 */
export interface Log {
  /**
   * Appends all drafts in one atomic commit, or none. Answers, in the order given, once they are
   * durable. Drafts of one channel keep their order, also across calls.
   *
   * @throws {Problem} `overloaded`, `idempotency_conflict` (with the index), `contended`,
   * `storage_*`, `shutting_down`; `commit_unknown` where the store did not say whether it
   * committed in time.
   * @throws {StaleRowsError} where a row that was to change along is another by now.
   */
  append(drafts: readonly Draft[]): Promise<readonly AppendedEvent[]>;

  /** @throws {Problem} `storage_*` */
  head(channelKey: ChannelKey): Promise<Head | undefined>;

  /**
   * The events after `after`: up to about `limit` of them and 256 KiB, at least one if there is
   * one. Whatever is missing in between is said by a gap.
   *
   * @throws {Problem} `storage_*`
   */
  read(channelKey: ChannelKey, after: Position, limit: number): Promise<ReadResult>;

  /** Channels of a tenant in the order of their names, after the name `after`. */
  channels(tenant: Tenant, after: string, limit: number): Promise<readonly ChannelInfo[]>;

  /** Sets what the channel keeps, making the channel if need be. */
  configure(channelKey: ChannelKey, retention: Partial<Retention>): Promise<Head>;

  /** Ends this life of the channel. False where there was none. */
  delete(channelKey: ChannelKey): Promise<boolean>;

  /** Rings `listener` until the answer is disposed. */
  listen(channelKey: ChannelKey, listener: LogListener): Disposable;

  /** One pass of retention over all channels, if no other isolate is at it. */
  retain(): Promise<void>;

  /** Refuses new appends, finishes those under way and lets go of the store. */
  close(): Promise<void>;
}
