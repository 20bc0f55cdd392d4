import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";

/** Few enough for one watch, with room for another key. */
export const SHARDS = 8;

/**
 * Ephemeral events that are delayed for longer than this are dropped. Guards against typing notices
 * and the like that arrive long after an outage of the store.
 */
export const MAX_EPHEMERAL_DELAY_MS = 30_000;

/**
 * A row of a shard's change journal. Isolates of other versions read it, so its members keep the
 * names they are stored under: an `address` is a channel key, `notes` are ephemeral events, and
 * `turn` is the number of a commit. They ignore members that they do not know.
 */
export interface JournalRow {
  /** The isolate that wrote the row, and skips it when reading. */
  readonly by: string;
  /** The channels in which a commit stored events. */
  readonly addresses: readonly ChannelKey[];
  /** The heads of `addresses` since the commit, in their order; undefined if none was passed on. */
  readonly heads?: readonly unknown[];
  /** Numbers the isolate's commits of notes: 1, 2, 3 …. A repeated number is a repeated commit. */
  readonly turn?: number;
  readonly notes?: readonly JournalEvent[];
}

/**
 * The value of a shard's wake key: the journal row of the same commit, with its events. Other
 * versions, and commits with more events, store 0.
 */
export interface WakeRow extends Pick<JournalRow, "by" | "addresses" | "heads"> {
  /** What the commit appends to each of `addresses`; undefined if it is not passed on. */
  readonly carried?: readonly unknown[];
}

/** An ephemeral event on its way to other isolates. */
export interface JournalEvent {
  readonly address: ChannelKey;
  readonly event: EphemeralEvent;
}

/** Returns the shard of a channel: a hash (FNV-1a) of the channel key's UTF-16 units. */
export function shardOf(channelKey: ChannelKey): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < channelKey.length; i++) {
    hash = Math.imul(hash ^ channelKey.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % SHARDS;
}
