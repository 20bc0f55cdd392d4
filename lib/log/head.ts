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

export function publicHead(head: StoredHead): Head {
  const { epoch, first, last, time, startBytes, endBytes, retention } = head;
  return { epoch, first, last, time, bytes: endBytes - startBytes, retention };
}
