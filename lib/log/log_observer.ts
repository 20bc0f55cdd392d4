import type { ChannelKey } from "../shared/channel.ts";

/** Is told what the log does: much and often, so it does little. Durations are in ms. */
export interface LogObserver {
  /** An append whose first event is for `address` was answered. */
  appended(channelKey: ChannelKey, milliseconds: number): void;
  /** So many events of a channel were stored. */
  stored(channelKey: ChannelKey, events: number): void;
  /** The store has answered an atomic commit, whatever it said. */
  committed(milliseconds: number): void;
}
