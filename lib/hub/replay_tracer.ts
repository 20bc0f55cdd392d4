import type { ChannelKey } from "../shared/channel.ts";
import type { Subscription } from "./subscription.ts";

/** Follows subscriptions while they catch up, for traces. */
export interface ReplayTracer {
  /** Called in the context of the subscriber's request, before the subscription starts. */
  subscribed(subscription: Subscription, channelKey: ChannelKey): void;
  /** The subscription reads the log from now on. */
  catchingUp(subscription: Subscription): void;
  /** The subscription is live, or has ended before. */
  caughtUp(subscription: Subscription, isLive: boolean): void;
}
