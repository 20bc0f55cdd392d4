import type { ChannelKey } from "../shared/channel.ts";

/** Counts what the hub does. The hub calls it often, so its methods must be cheap. */
export interface HubObserver {
  /** The log of the channel is read once, or a subscription to the channel begins. */
  read(channelKey: ChannelKey): void;
  /**
   * Live subscribers received events: `deliveries` is the sum over all of them. `durationMs` is the
   * time since the first of the events was committed or read.
   */
  flushed(channelKey: ChannelKey, deliveries: number, durationMs: number): void;
  /** A subscriber that catches up received this many events. */
  caughtUp(channelKey: ChannelKey, events: number): void;
  /** An ephemeral event was published in this isolate. */
  ephemeralPublished(): void;
}
