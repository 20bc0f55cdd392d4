import { RateLimiter } from "../shared/rate_limiter.ts";
import type { Hub } from "./hub.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";
import { Problem } from "../shared/problem.ts";

/**
 * Ephemeral events that one isolate publishes to one channel per second. Guards against a channel
 * that floods all its subscribers: no store slows down its publisher.
 */
export const CHANNEL_EVENTS_PER_SECOND = 1_000;

interface EphemeralPublisherOptions {
  readonly hub: Pick<Hub, "publishEphemeral">;
  /** Milliseconds of a monotonic clock. @default performance.now */
  readonly now?: () => number;
}

/** Publishes ephemeral events, up to {@link CHANNEL_EVENTS_PER_SECOND}. */
export class EphemeralPublisher {
  readonly #hub: Pick<Hub, "publishEphemeral">;
  readonly #rates: RateLimiter;

  constructor({ hub, now }: EphemeralPublisherOptions) {
    this.#hub = hub;
    this.#rates = new RateLimiter(now === undefined ? {} : { now });
  }

  /**
   * Publishes `event` through {@link Hub.publishEphemeral}. The caller checks the permission.
   *
   * @throws {Problem} `rate_limited`, `overloaded`, `shutting_down`
   */
  publish(channelKey: ChannelKey, event: EphemeralEvent): void {
    const limit = CHANNEL_EVENTS_PER_SECOND;
    const { ok, remaining, retryAfterMs } = this.#rates.take(channelKey, limit);
    if (!ok) {
      throw new Problem(
        "rate_limited",
        `A channel is limited to ${limit} ephemeral events per second.`,
        {
          quota: { policy: "channel-ephemeral-events", limit, remaining, retryAfterMs },
        },
      );
    }
    this.#hub.publishEphemeral(channelKey, event);
  }
}
