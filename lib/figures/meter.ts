import type { HubObserver } from "../hub/hub_observer.ts";
import type { LogObserver } from "../log/log_observer.ts";
import { type ChannelKey, FIGURES_CHANNEL_KEY } from "../shared/channel.ts";
import type { Sample } from "../shared/figures.ts";
import { Histogram } from "../shared/histogram.ts";

/** What was counted since the last time. */
export type SampleCounts = Pick<
  Sample,
  "publishes" | "events" | "ephemeral" | "deliveries" | "durations"
>;

/**
 * Counts what an isolate does. Counting is an addition or two, once for a publish, a commit, a
 * flush; never for an event or a subscriber. The figures' own channel is left out of what is about
 * channels: looking would change what is seen.
 */
export class Meter implements LogObserver, HubObserver {
  /** Connections that are open now and that nobody else counts. */
  readonly open = { sse: 0, longPoll: 0 };
  /** Told when somebody reads the figures. */
  onFiguresRead: () => void = () => {};
  #accepted = 0;
  #refused = 0;
  #events = 0;
  #ephemeral = 0;
  #live = 0;
  #caughtUp = 0;
  readonly #publish = new Histogram();
  readonly #commit = new Histogram();
  readonly #delivery = new Histogram();
  readonly #eventLoop = new Histogram();

  /** Counts a connection until the answer, which takes `connection` along, is disposed. */
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

  /** A publish was refused, for whatever reason. */
  refused(): void {
    this.#refused++;
  }

  /** A timer was so many ms late. */
  delayed(milliseconds: number): void {
    this.#eventLoop.record(milliseconds);
  }

  appended(channelKey: ChannelKey, milliseconds: number): void {
    if (channelKey === FIGURES_CHANNEL_KEY) return;
    this.#accepted++;
    this.#publish.record(milliseconds);
  }

  stored(channelKey: ChannelKey, events: number): void {
    if (channelKey !== FIGURES_CHANNEL_KEY) this.#events += events;
  }

  committed(milliseconds: number): void {
    this.#commit.record(milliseconds);
  }

  read(channelKey: ChannelKey): void {
    if (channelKey === FIGURES_CHANNEL_KEY) this.onFiguresRead();
  }

  flushed(channelKey: ChannelKey, deliveries: number, milliseconds: number): void {
    if (channelKey === FIGURES_CHANNEL_KEY) return;
    this.#live += deliveries;
    this.#delivery.record(milliseconds, deliveries);
  }

  caughtUp(channelKey: ChannelKey, events: number): void {
    if (channelKey !== FIGURES_CHANNEL_KEY) this.#caughtUp += events;
  }

  ephemeralPublished(): void {
    this.#ephemeral++;
  }

  /** What was counted since the last time. */
  take(): SampleCounts {
    const counts: SampleCounts = {
      publishes: { accepted: this.#accepted, refused: this.#refused },
      events: this.#events,
      ephemeral: this.#ephemeral,
      deliveries: { live: this.#live, caughtUp: this.#caughtUp },
      durations: {
        publish: this.#publish.take(),
        commit: this.#commit.take(),
        delivery: this.#delivery.take(),
        eventLoop: this.#eventLoop.take(),
      },
    };
    this.#accepted = this.#refused = 0;
    this.#events = this.#ephemeral = 0;
    this.#live = this.#caughtUp = 0;
    return counts;
  }
}
