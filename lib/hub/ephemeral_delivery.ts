import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";
import type { DeliveryClock, Gathered } from "./delivery_clock.ts";
import { EphemeralBatch } from "./ephemeral_batch.ts";

/**
 * Characters that wait for the next delivery; beyond, the oldest events are dropped. Guards against
 * events that arrive faster than the sockets of a channel's subscribers are written.
 */
const MAX_WAITING_CHARS = 128 * 1024;
/** What each event counts in addition to its data and names. Guards against empty events. */
const EVENT_COST_CHARS = 64;

interface EphemeralDeliveryOptions {
  readonly channelKey: ChannelKey;
  readonly deliver: (batch: EphemeralBatch) => void;
  /** Receives the number of events that are dropped: older ones than those that wait. */
  readonly onDropped: (events: number) => void;
  /** Returns how many subscribers a delivery is written to. */
  readonly subscribers: () => number;
  /** Shared by the channels of an isolate. */
  readonly clock: DeliveryClock;
}

/** Gathers the ephemeral events of one channel, and delivers them together when the clock says so. */
export class EphemeralDelivery implements Gathered {
  readonly #options: EphemeralDeliveryOptions;
  #waiting: EphemeralEvent[] = [];
  #length = 0;

  constructor(options: EphemeralDeliveryOptions) {
    this.#options = options;
  }

  get subscribers(): number {
    return this.#options.subscribers();
  }

  add(event: EphemeralEvent): void {
    this.#waiting.push(event);
    this.#length += costOf(event);
    let dropped = 0;
    for (; this.#length > MAX_WAITING_CHARS; dropped++) {
      const oldest = this.#waiting.shift();
      if (oldest !== undefined) this.#length -= costOf(oldest);
    }
    if (dropped > 0) this.#options.onDropped(dropped);
    this.#options.clock.add(this);
  }

  deliver(): void {
    const events = this.#waiting;
    this.#waiting = [];
    this.#length = 0;
    if (events.length === 0) return;
    this.#options.deliver(new EphemeralBatch(this.#options.channelKey, events));
  }
}

function costOf({ data, type, publisher = "", traceparent = "" }: EphemeralEvent): number {
  const names = type.length + publisher.length + traceparent.length;
  return data.length + names + EVENT_COST_CHARS;
}
