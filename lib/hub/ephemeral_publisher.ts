import { RateLimiter } from "../shared/rate_limiter.ts";
import type { Hub } from "./hub.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";
import { Problem } from "../shared/problem.ts";

/**
 * Ephemeral events a second that one isolate carries on for one channel. Met: a channel whose
 * subscribers are all written to as fast as somebody can send, with no store to hold that back.
 */
export const CHANNEL_EVENTS_PER_SECOND = 1_000;

export interface EphemeralPublisherOptions {
  readonly hub: Pick<Hub, "publishEphemeral">;
  /** Milliseconds of a clock that never goes backwards. @default performance.now */
  readonly now?: () => number;
}

/** Publishes ephemeral events, within the limit of each channel. */
export class EphemeralPublisher {
  readonly #hub: Pick<Hub, "publishEphemeral">;
  readonly #rates: RateLimiter;

  constructor({ hub, now }: EphemeralPublisherOptions) {
    this.#hub = hub;
    this.#rates = new RateLimiter(now === undefined ? {} : { now });
  }

  /**
   * As {@link Hub.publishEphemeral}, for who may publish to the channel.
   *
   * @throws {Problem} `rate_limited`, `overloaded`, `shutting_down`
   */
  publish(channelKey: ChannelKey, event: EphemeralEvent): void {
    const limit = CHANNEL_EVENTS_PER_SECOND;
    const { ok, remaining, retryAfter } = this.#rates.take(channelKey, limit);
    if (!ok) {
      throw new Problem(
        "rate_limited",
        `A channel is limited to ${limit} ephemeral events a second.`,
        { quota: { policy: "channel-ephemeral-events", limit, remaining, retryAfter } },
      );
    }
    this.#hub.publishEphemeral(channelKey, event);
  }
}
