import { type Epoch, epochAt } from "../shared/offset.ts";
import type { Head, Retention } from "./log.ts";

/**
 * What retention knows of the age of events whose times are ahead of its clock: those up to `last`
 * existed at `time`, in ms since 1970.
 */
export interface AgeMark {
  readonly last: number;
  readonly time: number;
}

/** An epoch that a restore has ended. The current one continues it after `last`. */
interface EarlierEpoch {
  readonly epoch: Epoch;
  readonly last: number;
}

/** Epochs that a head names. Bounds the head of a channel that is restored again and again. */
const MAX_EARLIER_EPOCHS = 4;

/** The value of a channel's head. */
export interface StoredHead {
  readonly epoch: Epoch;
  /** Sequence of the first kept event. */
  readonly first: number;
  readonly last: number;
  /** Time of the last event, in ms since 1970. */
  readonly time: number;
  /** Time of the first kept event, in ms since 1970. */
  readonly oldest: number;
  /** Bytes of data in this epoch's log before the first kept event. */
  readonly startBytes: number;
  /** Bytes of data in this epoch's log up to its end. */
  readonly endBytes: number;
  readonly retention: Partial<Retention>;
  /** @see {@link AgeMark} */
  readonly mark?: AgeMark;
  /** Epochs before restores whose events this one has, under the same sequences. */
  readonly earlier?: readonly EarlierEpoch[];
  /** The channel is deleted. Its epoch is reserved for the next channel of this name. */
  readonly deleted: boolean;
}

/** What was read of a channel. */
export interface HeadEntry {
  /** Null if there is no channel, nor a deleted one whose epoch is still kept. */
  readonly head: StoredHead | null;
  /** The row that changes whenever the channel does. */
  readonly row: Deno.AtomicCheck;
}

/** Creates the head of an empty log, with an epoch after `previous`. */
export function newHead(now: number, previous?: Epoch): StoredHead {
  return {
    epoch: epochAt(now, previous),
    first: 1,
    last: 0,
    time: now,
    oldest: now,
    startBytes: 0,
    endBytes: 0,
    retention: {},
    deleted: false,
  };
}

/**
 * Returns the head of a restored channel: a new epoch with the same events. Readers have been given
 * later events of the old epoch, whose sequences will be those of other events.
 */
export function restoredHead(head: StoredHead, now: number): StoredHead {
  const earlier = [...head.earlier ?? [], { epoch: head.epoch, last: head.last }];
  return {
    ...head,
    epoch: epochAt(now, head.epoch),
    earlier: earlier.slice(-MAX_EARLIER_EPOCHS),
  };
}

export function publicHead(head: StoredHead): Head {
  const { epoch, first, last, time, startBytes, endBytes, retention } = head;
  return { epoch, first, last, time, bytes: endBytes - startBytes, retention };
}
