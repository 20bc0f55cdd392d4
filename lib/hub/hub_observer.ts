import type { ChannelKey } from "../shared/channel.ts";

/** Is told what the hub does: much and often, so it does little. */
export interface HubObserver {
  /** Somebody reads the channel, or follows it from now on. */
  read(channelKey: ChannelKey): void;
  /**
   * Live subscribers were given events, `deliveries` in all, so many ms after the first of the
   * events was there.
   */
  flushed(channelKey: ChannelKey, deliveries: number, milliseconds: number): void;
  /** A subscriber that catches up was given so many events. */
  caughtUp(channelKey: ChannelKey, events: number): void;
  /** An ephemeral event was published here. */
  ephemeralPublished(): void;
}
