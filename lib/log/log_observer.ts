import type { ChannelKey } from "../shared/channel.ts";

/** Counts what the log does. The log calls it often, so its methods must be cheap. */
export interface LogObserver {
  /** An append was answered. `channelKey` is that of its first event. */
  appended(channelKey: ChannelKey, durationMs: number): void;
  /** Events of a channel were stored. */
  stored(channelKey: ChannelKey, events: number): void;
  /** The store has answered an atomic commit with this many events. */
  committed(result: "stored" | "conflict", events: number, durationMs: number): void;
  /** The store has failed to read or to commit, or took too long. */
  storeFailed(operation: "read" | "commit"): void;
}
