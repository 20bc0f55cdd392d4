import type { HubObserver } from "../hub/hub_observer.ts";
import type { LogObserver } from "../log/log_observer.ts";
import { type ChannelKey, FIGURES_CHANNEL_KEY } from "../shared/channel.ts";
import type { Sample } from "../shared/figures.ts";
import { Histogram, type HistogramTotals } from "../shared/histogram.ts";

/** What was counted since the last sample. */
export type SampleCounts = Pick<
  Sample,
  "publishes" | "events" | "ephemeral" | "deliveries" | "durations"
>;

/** What was counted since the isolate started. */
export interface MeterTotals extends Omit<SampleCounts, "durations"> {
  readonly durations: Readonly<Record<keyof SampleCounts["durations"], HistogramTotals>>;
}

type Counts = Omit<SampleCounts, "durations">;

const NOTHING: Counts = {
  publishes: { accepted: 0, refused: 0 },
  events: 0,
  ephemeral: 0,
  deliveries: { live: 0, caughtUp: 0 },
};

/**
 * Counts what an isolate does. Counting takes an addition or two for each publish, commit and
 * delivery, and nothing for each event or subscriber. The channel of the figures is not counted:
 * viewing the figures would change them.
 */
export class Meter implements LogObserver, HubObserver {
  /** Open connections that are counted nowhere else. */
  readonly open = { sse: 0, longPoll: 0 };
  /** Called when the channel of the figures is read. */
  onFiguresRead: () => void = () => {};
  #accepted = 0;
  #refused = 0;
  #events = 0;
  #ephemeral = 0;
  #live = 0;
  #caughtUp = 0;
  /** The counts at the last call of {@link take}. */
  #taken = NOTHING;
  readonly #publish = new Histogram();
  readonly #commit = new Histogram();
  readonly #delivery = new Histogram();
  readonly #eventLoop = new Histogram();

  /** Counts a connection until the result is disposed, which disposes `connection` too. */
  connected(kind: "sse" | "longPoll", connection: Disposable): Disposable {
    this.open[kind]++;
    let isOpen = true;
    return {
      [Symbol.dispose]: () => {
        if (isOpen) this.open[kind]--;
        isOpen = false;
        connection[Symbol.dispose]();
      },
    };
  }

  /** A publish was refused. */
  refused(): void {
    this.#refused++;
  }

  /** A timer was late. */
  delayed(delayMs: number): void {
    this.#eventLoop.record(delayMs);
  }

  appended(channelKey: ChannelKey, durationMs: number): void {
    if (channelKey === FIGURES_CHANNEL_KEY) return;
    this.#accepted++;
    this.#publish.record(durationMs);
  }

  stored(channelKey: ChannelKey, events: number): void {
    if (channelKey !== FIGURES_CHANNEL_KEY) this.#events += events;
  }

  committed(durationMs: number): void {
    this.#commit.record(durationMs);
  }

  read(channelKey: ChannelKey): void {
    if (channelKey === FIGURES_CHANNEL_KEY) this.onFiguresRead();
  }

  flushed(channelKey: ChannelKey, deliveries: number, durationMs: number): void {
    if (channelKey === FIGURES_CHANNEL_KEY) return;
    this.#live += deliveries;
    this.#delivery.record(durationMs, deliveries);
  }

  caughtUp(channelKey: ChannelKey, events: number): void {
    if (channelKey !== FIGURES_CHANNEL_KEY) this.#caughtUp += events;
  }

  ephemeralPublished(): void {
    this.#ephemeral++;
  }

  /** Returns what was counted since the last call. */
  take(): SampleCounts {
    const [counts, before] = [this.#counts(), this.#taken];
    this.#taken = counts;
    const { publishes, deliveries } = counts;
    return {
      publishes: {
        accepted: publishes.accepted - before.publishes.accepted,
        refused: publishes.refused - before.publishes.refused,
      },
      events: counts.events - before.events,
      ephemeral: counts.ephemeral - before.ephemeral,
      deliveries: {
        live: deliveries.live - before.deliveries.live,
        caughtUp: deliveries.caughtUp - before.deliveries.caughtUp,
      },
      durations: {
        publish: this.#publish.take(),
        commit: this.#commit.take(),
        delivery: this.#delivery.take(),
        eventLoop: this.#eventLoop.take(),
      },
    };
  }

  /** Returns all that was counted. It changes nothing, so that anyone may ask at any time. */
  totals(): MeterTotals {
    return {
      ...this.#counts(),
      durations: {
        publish: this.#publish.totals(),
        commit: this.#commit.totals(),
        delivery: this.#delivery.totals(),
        eventLoop: this.#eventLoop.totals(),
      },
    };
  }

  #counts(): Counts {
    return {
      publishes: { accepted: this.#accepted, refused: this.#refused },
      events: this.#events,
      ephemeral: this.#ephemeral,
      deliveries: { live: this.#live, caughtUp: this.#caughtUp },
    };
  }
}
