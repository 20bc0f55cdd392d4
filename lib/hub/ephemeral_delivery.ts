import { setImmediate } from "node:timers";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";
import { EphemeralBatch } from "./ephemeral_batch.ts";
import { afterWrites } from "./turns.ts";

/**
 * Characters that wait for the next delivery; beyond, the oldest events are dropped. Guards against
 * events that arrive faster than the sockets of a channel's subscribers are written.
 */
const MAX_WAITING_CHARS = 128 * 1024;
/** What each event counts in addition to its data, type and publisher. Guards against empty events. */
const EVENT_COST_CHARS = 64;

/**
 * Gathers the ephemeral events of one channel, self-clocked as {@link RunDelivery} is: they are
 * delivered a turn of the event loop later when idle, and together under load.
 */
export class EphemeralDelivery {
  readonly #channelKey: ChannelKey;
  readonly #deliver: (batch: EphemeralBatch) => number;
  #waiting: EphemeralEvent[] = [];
  #length = 0;
  #isDelivering = false;

  /** @param deliver delivers a batch, and returns to how many subscribers. */
  constructor(channelKey: ChannelKey, deliver: (batch: EphemeralBatch) => number) {
    this.#channelKey = channelKey;
    this.#deliver = deliver;
  }

  add(event: EphemeralEvent): void {
    this.#waiting.push(event);
    this.#length += costOf(event);
    while (this.#length > MAX_WAITING_CHARS) {
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

function costOf({ data, type, publisher = "" }: EphemeralEvent): number {
  return data.length + type.length + publisher.length + EVENT_COST_CHARS;
}
