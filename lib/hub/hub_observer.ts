import type { ChannelKey } from "../shared/channel.ts";
import type { Gap } from "../shared/event.ts";

/** Whether a subscription that continues after a position has missed events, and gets them. */
export type ResumeResult =
  /** It has missed none. */
  | "current"
  /** It gets what it has missed. */
  | "replayed"
  /** The events after its position are gone. */
  | "gap";

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
  /** `readers` received a gap: live, in a replay, or in an answer to a read. */
  gap(channelKey: ChannelKey, reason: Gap["reason"], readers: number): void;
  /** A subscription that continues after a position has its first events, or is live without any. */
  resumed(channelKey: ChannelKey, result: ResumeResult): void;
  /** An ephemeral event was published in this isolate. */
  ephemeralPublished(channelKey: ChannelKey): void;
  /** Ephemeral events went to subscribers, or were dropped: the sums over all of them. */
  ephemeralDelivered(events: { readonly sent: number; readonly dropped: number }): void;
}
