import type { ChannelKey } from "../shared/channel.ts";

/** Counts what the log does. The log calls it often, so its methods must be cheap. */
export interface LogObserver {
  /** An append was answered. `channelKey` is that of its first event. */
  appended(channelKey: ChannelKey, durationMs: number): void;
  /** Events of a channel were stored. */
  stored(channelKey: ChannelKey, events: number): void;
  /** The store has answered an atomic commit, successful or not. */
  committed(durationMs: number): void;
}
