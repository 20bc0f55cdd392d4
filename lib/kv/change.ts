import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";

/** As many as one watch takes, less room for another key: more would need several watches. */
export const SHARDS = 8;

/**
 * Notes that waited, or were under way, for longer than this (ms) are told to nobody. Met: a store
 * that was away, and a typing note that comes with what was held up.
 */
export const MAX_EPHEMERAL_AGE_MS = 30_000;

/** An ephemeral event on its way to the other isolates. */
export interface EphemeralRow {
  readonly address: ChannelKey;
  readonly event: EphemeralEvent;
}

/** A row of a shard's change journal. */
export interface Change {
  /** The isolate that wrote it, which needs no ring. */
  readonly by: string;
  /** The channels that a commit moved. */
  readonly addresses: readonly ChannelKey[];
  /** With notes: 1, 2, 3 … of the isolate. A row with one that was there is the same again. */
  readonly turn?: number;
  readonly notes?: readonly EphemeralRow[];
}

/** FNV-1a over the address's UTF-16 units. */
export function shardOf(channelKey: ChannelKey): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < channelKey.length; i++) {
    hash = Math.imul(hash ^ channelKey.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % SHARDS;
}
