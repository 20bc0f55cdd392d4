import { setImmediate } from "node:timers";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";
import { EphemeralBatch } from "./ephemeral_batch.ts";
import { afterWrites } from "./turns.ts";

/**
 * Characters that wait for the next delivery; past them the oldest go. Met: events that
 * come faster than the sockets of a channel's subscribers are written.
 */
const MAX_WAITING = 128 * 1024;
/** What an event counts beside its data and its type. Met: events that are empty. */
const EVENT_COST = 64;

/**
 * Gathers the ephemeral events of one channel, self-clocked as the log's are: a turn of the event
 * loop later when idle, one write a subscriber for many under load.
 */
export class EphemeralDelivery {
  readonly #channelKey: ChannelKey;
  readonly #deliver: (batch: EphemeralBatch) => number;
  #waiting: EphemeralEvent[] = [];
  #length = 0;
  #isDelivering = false;

  /** @param deliver hands notes to the subscribers; says how many there are. */
  constructor(channelKey: ChannelKey, deliver: (batch: EphemeralBatch) => number) {
    this.#channelKey = channelKey;
    this.#deliver = deliver;
  }

  add(event: EphemeralEvent): void {
    this.#waiting.push(event);
    this.#length += costOf(event);
    while (this.#length > MAX_WAITING) {
      const oldest = this.#waiting.shift();
      if (oldest !== undefined) this.#length -= costOf(oldest);
    }
    this.#deliverSoon();
  }

  #deliverSoon(): void {
    if (this.#isDelivering || this.#waiting.length === 0) return;
    this.#isDelivering = true;
    setImmediate(() => {
      const batch = new EphemeralBatch(this.#channelKey, this.#waiting);
      this.#waiting = [];
      this.#length = 0;
      afterWrites(this.#deliver(batch), () => {
        this.#isDelivering = false;
        this.#deliverSoon();
      });
    });
  }
}

function costOf({ data, type }: EphemeralEvent): number {
  return data.length + type.length + EVENT_COST;
}
