import type { Log, ReadBeforeResult, ReadResult } from "../log/log.ts";
import { forEachInTurns } from "../shared/async/in_turns.ts";
import { Linger } from "../shared/async/linger.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent, Relay } from "../shared/ephemeral.ts";
import type { Position } from "../shared/offset.ts";
import { Problem } from "../shared/problem.ts";
import { DeliveryClock } from "./delivery_clock.ts";
import type { HubObserver } from "./hub_observer.ts";
import { RunCache } from "./run_cache.ts";
import type { ReplayTracer } from "./replay_tracer.ts";
import type { Sink } from "./sink.ts";
import { StallWatch } from "./stall_watch.ts";
import { Subscription } from "./subscription.ts";
import { Tail } from "./tail.ts";

/** Subscriptions, or tails, that are closed in one turn of the event loop when the hub closes. */
export const CLOSED_PER_TURN = 100;

interface HubOptions {
  readonly log: Log;
  /** Relays ephemeral events to and from other isolates. @default undefined */
  readonly relay?: Relay;
  /** Bytes of recent events kept in memory for subscribers that reconnect. @default 64 MiB */
  readonly cacheBytes?: number;
  /** How long a subscriber may take nothing before it is closed as slow. @default 60_000 */
  readonly stallTimeoutMs?: number;
  /** How long a channel is followed after its last subscriber has left. @default 10_000 */
  readonly lingerMs?: number;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** @default undefined */
  readonly observer?: HubObserver;
  /** @default undefined */
  readonly tracer?: ReplayTracer | undefined;
}

interface FollowedChannel {
  readonly channelKey: ChannelKey;
  readonly tail: Promise<Tail>;
  /** The tail, once it is open. */
  opened: Tail | undefined;
  readonly subscriptions: Set<Subscription>;
  /** Calls of {@link Hub.subscribe} that still wait for the tail. */
  subscribing: number;
}

/** Delivers events within one isolate, through one tail for each channel with local subscribers. */
export class Hub {
  readonly #log: Log;
  readonly #relay: Relay | undefined;
  readonly #cache: RunCache;
  readonly #clock = new DeliveryClock();
  readonly #stalls: StallWatch;
  /** Channels without subscribers, which may reconnect. */
  readonly #lingering: Linger<FollowedChannel>;
  readonly #now: () => number;
  readonly #observer: HubObserver | undefined;
  readonly #tracer: ReplayTracer | undefined;
  readonly #channels = new Map<ChannelKey, FollowedChannel>();
  #subscriptions = 0;
  readonly #catchingUp = new Set<Subscription>();
  #isClosed = false;
  // One function each for all subscriptions.
  readonly #onCatchUp = (subscription: Subscription) => {
    this.#catchingUp.add(subscription);
    this.#tracer?.catchingUp(subscription);
  };
  readonly #onLive = (subscription: Subscription) => {
    this.#catchingUp.delete(subscription);
    this.#tracer?.caughtUp(subscription, true);
  };

  constructor(options: HubOptions) {
    const { log, cacheBytes = 64 * 1024 * 1024, stallTimeoutMs = 60_000 } = options;
    this.#log = log;
    this.#relay = options.relay;
    this.#cache = new RunCache(cacheBytes);
    this.#stalls = new StallWatch(stallTimeoutMs);
    this.#lingering = new Linger(options.lingerMs ?? 10_000, (channel) => {
      this.#forget(channel);
      void channel.tail.then((tail) => tail.close());
    });
    this.#now = options.now ?? Date.now;
    this.#observer = options.observer;
    this.#tracer = options.tracer;
  }

  /** Returns how many channels the hub follows. */
  get size(): number {
    return this.#channels.size;
  }

  /** Returns how many subscriptions there are, and by how many events the slowest is behind. */
  get subscriptions(): {
    readonly live: number;
    readonly catchingUp: number;
    readonly lag: number;
  } {
    let lag = 0;
    for (const subscription of this.#catchingUp) lag = Math.max(lag, subscription.lag);
    const catchingUp = this.#catchingUp.size;
    return { live: this.#subscriptions - catchingUp, catchingUp, lag };
  }

  /** Returns whether the channel has subscribers in this isolate. */
  isFollowed(channelKey: ChannelKey): boolean {
    return (this.#channels.get(channelKey)?.subscriptions.size ?? 0) > 0;
  }

  /**
   * Subscribes `sink` to every event after `after`, until the subscription is closed. Nothing is
   * written before its {@link Subscription.start}. `latest` is after all events that any isolate has
   * acknowledged before the call.
   *
   * @param options.isResume whether `after` is where the subscriber was before. @default false
   * @throws {Problem} `storage_*`, `shutting_down`
   */
  async subscribe(
    channelKey: ChannelKey,
    after: "earliest" | "latest" | Position,
    sink: Sink,
    { isResume = false }: { readonly isResume?: boolean } = {},
  ): Promise<Subscription> {
    this.#refuseIfClosed();
    this.#observer?.read(channelKey);
    const channel = this.#follow(channelKey);
    channel.subscribing++;
    try {
      // Not the position of the tail, which may not have heard yet of events of other isolates.
      const [tail, position] = await Promise.all([channel.tail, this.#resolve(channelKey, after)]);
      this.#refuseIfClosed();
      const subscription = new Subscription({
        tail,
        position,
        sink,
        isResume,
        stalls: this.#stalls,
        onCatchUp: this.#onCatchUp,
        onLive: this.#onLive,
        onClosed: (closed) => this.#removeSubscription(channel, closed),
      });
      this.#tracer?.subscribed(subscription, channelKey);
      channel.subscriptions.add(subscription);
      this.#subscriptions++;
      return subscription;
    } finally {
      channel.subscribing--;
      this.#releaseLater(channel);
    }
  }

  /**
   * Delivers `event` to the current subscribers of the channel, in every isolate. The event is not
   * stored, and its delivery is not guaranteed.
   *
   * @throws {Problem} `overloaded`, `shutting_down`
   */
  publishEphemeral(channelKey: ChannelKey, event: EphemeralEvent): void {
    this.#refuseIfClosed();
    this.#relay?.relay(channelKey, event);
    this.#observer?.ephemeralPublished(channelKey);
    this.#channels.get(channelKey)?.opened?.deliverEphemeral(event);
  }

  /** Returns the position before the first kept event. @throws {Problem} `storage_*` */
  async earliest(channelKey: ChannelKey): Promise<Position> {
    return (await this.#log.bounds(channelKey)).start;
  }

  /**
   * Returns the position after the last event that any isolate has acknowledged before the call.
   *
   * @throws {Problem} `storage_*`
   */
  async latest(channelKey: ChannelKey): Promise<Position> {
    return (await this.#log.bounds(channelKey)).end;
  }

  /** Reads the log once, without a subscription. @throws {Problem} `storage_*` */
  async read(channelKey: ChannelKey, after: Position, limit: number): Promise<ReadResult> {
    this.#observer?.read(channelKey);
    const result = await this.#log.read(channelKey, after, limit);
    for (const { gap } of result.runs) {
      if (gap !== undefined) this.#observer?.gap(channelKey, gap.reason, 1);
    }
    return result;
  }

  /** Reports what a reader without a subscription received of a channel, and whether after a cursor. */
  received(
    channelKey: ChannelKey,
    { events, hasGap, isResuming }: {
      readonly events: number;
      readonly hasGap: boolean;
      readonly isResuming: boolean;
    },
  ): void {
    this.#observer?.caughtUp(channelKey, events);
    if (isResuming) this.#observer?.resumed(channelKey, hasGap ? "gap" : "replayed");
  }

  /** Reads the log back once. @see {@link Log.readBefore} @throws {Problem} `storage_*` */
  async readBefore(
    channelKey: ChannelKey,
    before: Position | undefined,
    limit: number,
  ): Promise<ReadBeforeResult> {
    this.#observer?.read(channelKey);
    return await this.#log.readBefore(channelKey, before, limit);
  }

  /**
   * Ends all subscriptions as `stopping`: some at once, and thousands in several turns of the event
   * loop. Resolves once all tails are closed.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stalls.close();
    this.#lingering[Symbol.dispose]();
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    const subscriptions = channels.flatMap(({ subscriptions }) => [...subscriptions]);
    await forEachInTurns(subscriptions, CLOSED_PER_TURN, (subscription) => {
      subscription.end("stopping");
    });
    await forEachInTurns(channels, CLOSED_PER_TURN, ({ opened }) => opened?.close());
    // subscribe() throws the error of a tail that failed to open.
    const opening = channels.filter(({ opened }) => opened === undefined);
    await Promise.all(opening.map(({ tail }) => tail.then((opened) => opened.close(), () => {})));
    this.#clock[Symbol.dispose]();
  }

  #resolve(
    channelKey: ChannelKey,
    after: "earliest" | "latest" | Position,
  ): Position | Promise<Position> {
    if (after === "latest") return this.latest(channelKey);
    return after === "earliest" ? this.earliest(channelKey) : after;
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
  }

  #follow(channelKey: ChannelKey): FollowedChannel {
    const followed = this.#channels.get(channelKey);
    if (followed !== undefined) {
      this.#lingering.delete(followed);
      return followed;
    }
    const channel: FollowedChannel = {
      channelKey,
      tail: Tail.open(channelKey, {
        log: this.#log,
        relay: this.#relay,
        cache: this.#cache,
        clock: this.#clock,
        now: this.#now,
        observer: this.#observer,
      }),
      opened: undefined,
      subscriptions: new Set(),
      subscribing: 0,
    };
    this.#channels.set(channelKey, channel);
    channel.tail.then(
      (opened) => channel.opened = opened,
      () => this.#forget(channel), // the next subscriber opens another
    );
    return channel;
  }

  #removeSubscription(channel: FollowedChannel, subscription: Subscription): void {
    if (this.#catchingUp.delete(subscription)) this.#tracer?.caughtUp(subscription, false);
    channel.subscriptions.delete(subscription);
    this.#subscriptions--;
    this.#releaseLater(channel);
  }

  /** Stops following a channel without subscribers, after a while: they may reconnect. */
  #releaseLater(channel: FollowedChannel): void {
    if (channel.subscriptions.size > 0 || channel.subscribing > 0 || this.#isClosed) return;
    if (this.#channels.get(channel.channelKey) === channel) this.#lingering.add(channel);
  }

  #forget(channel: FollowedChannel): void {
    const { channelKey } = channel;
    if (this.#channels.get(channelKey) === channel) this.#channels.delete(channelKey);
    this.#lingering.delete(channel);
  }
}
