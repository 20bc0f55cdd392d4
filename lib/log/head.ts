import { type Epoch, epochAt } from "../shared/offset.ts";
import type { Head, Retention } from "./log.ts";

/** The value of a channel's head. */
export interface StoredHead {
  readonly epoch: Epoch;
  /** Sequence of the first kept event. */
  readonly first: number;
  readonly last: number;
  /** Milliseconds since 1970 of the last event. */
  readonly time: number;
  /** Milliseconds since 1970 of the first kept event. */
  readonly oldest: number;
  /** Bytes of data in this epoch's log before the first kept event. */
  readonly startBytes: number;
  /** The same, with all that is kept. */
  readonly endBytes: number;
  readonly retention: Partial<Retention>;
  /** The channel was deleted: it exists no longer, but its next life has its epoch already. */
  readonly deleted: boolean;
}

/** A head and the version under which it was read or written; null: there is none. */
export interface HeadEntry {
  readonly head: StoredHead | null;
  readonly versionstamp: string | null;
}

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
