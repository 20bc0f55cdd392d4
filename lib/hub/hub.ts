import type { Log, ReadResult } from "../log/log.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent, Relay } from "../shared/ephemeral.ts";
import { ORIGIN, type Position } from "../shared/offset.ts";
import { Problem } from "../shared/problem.ts";
import type { HubObserver } from "./hub_observer.ts";
import { RunCache } from "./run_cache.ts";
import type { Sink } from "./sink.ts";
import { StallWatch } from "./stall_watch.ts";
import { Subscription } from "./subscription.ts";
import { Tail } from "./tail.ts";

export interface HubOptions {
  readonly log: Log;
  /** Carries ephemeral events to other isolates. @default none does */
  readonly relay?: Relay;
  /** Bytes of recent events kept for those who come back. @default 64 MiB */
  readonly cacheBytes?: number;
  /** Milliseconds that a subscriber may take nothing at all. @default 60_000 */
  readonly stallTimeoutMs?: number;
  /** Milliseconds that a channel stays ready after its last subscriber. @default 10_000 */
  readonly lingerMs?: number;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** @default nobody wants to know */
  readonly observer?: HubObserver;
}

interface FollowedChannel {
  readonly tail: Promise<Tail>;
  /** The same, once it is there. */
  opened: Tail | undefined;
  readonly subscriptions: Set<Subscription>;
  /** Subscriptions that are being made. */
  opening: number;
  release: ReturnType<typeof setTimeout> | undefined;
}

/** An isolate's local delivery: one tail for each channel with local subscribers. */
export class Hub {
  readonly #log: Log;
  readonly #relay: Relay | undefined;
  readonly #cache: RunCache;
  readonly #stalls: StallWatch;
  readonly #linger: number;
  readonly #now: () => number;
  readonly #observer: HubObserver | undefined;
  readonly #behind = new Set<Subscription>();
  #subscriptions = 0;
  readonly #tails = new Map<ChannelKey, FollowedChannel>();
  #isClosed = false;

  constructor(options: HubOptions) {
    const { log, cacheBytes = 64 * 1024 * 1024, stallTimeoutMs: stallTimeout = 60_000 } = options;
    this.#log = log;
    this.#relay = options.relay;
    this.#cache = new RunCache(cacheBytes);
    this.#stalls = new StallWatch(stallTimeout);
    this.#linger = options.lingerMs ?? 10_000;
    this.#now = options.now ?? Date.now;
    this.#observer = options.observer;
  }

  /** Channels that are followed at the moment. */
  get size(): number {
    return this.#tails.size;
  }

  /** How its subscriptions stand. `lag`: the most events that one of them is behind. */
  get subscriptions(): {
    readonly live: number;
    readonly catchingUp: number;
    readonly lag: number;
  } {
    let lag = 0;
    for (const subscription of this.#behind) lag = Math.max(lag, subscription.lag);
    const catchingUp = this.#behind.size;
    return { live: this.#subscriptions - catchingUp, catchingUp, lag };
  }

  /** Whether somebody here is subscribed to the channel. */
  isFollowed(channelKey: ChannelKey): boolean {
    return (this.#tails.get(channelKey)?.subscriptions.size ?? 0) > 0;
  }

  /**
   * Gives `sink` every event after `after`, then each new one, until the subscription is closed.
   * Nothing is written before the answer is there.
   *
   * @throws {Problem} `storage_*`, `shutting_down`
   */
  async subscribe(
    channelKey: ChannelKey,
    after: "earliest" | "latest" | Position,
    sink: Sink,
  ): Promise<Subscription> {
    if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
    this.#observer?.read(channelKey);
    const open = this.#open(channelKey);
    open.opening++;
    try {
      const tail = await open.tail;
      const position = after === "latest"
        ? tail.position
        : after === "earliest"
        ? await this.earliest(channelKey)
        : after;
      if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
      const subscription = new Subscription(
        tail,
        position,
        sink,
        this.#stalls,
        this.#behind,
        (closed) => this.#left(channelKey, open, closed),
      );
      open.subscriptions.add(subscription);
      this.#subscriptions++;
      return subscription;
    } finally {
      open.opening--;
      this.#releaseLater(channelKey, open);
    }
  }

  /**
   * Delivers `event` to who is subscribed to the channel at the moment, in every isolate: with no
   * promise, and without a trace.
   *
   * @throws {Problem} `overloaded`, `shutting_down`
   */
  publishEphemeral(channelKey: ChannelKey, event: EphemeralEvent): void {
    if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
    this.#relay?.relay(channelKey, event);
    this.#observer?.ephemeralPublished();
    this.#tails.get(channelKey)?.opened?.deliverEphemeral(event);
  }

  /** The position before the first kept event. @throws {Problem} `storage_*` */
  async earliest(channelKey: ChannelKey): Promise<Position> {
    const head = await this.#log.head(channelKey);
    return head === undefined ? ORIGIN : { epoch: head.epoch, sequence: head.first - 1 };
  }

  /** The position behind the newest event. @throws {Problem} `storage_*` */
  async latest(channelKey: ChannelKey): Promise<Position> {
    const head = await this.#log.head(channelKey);
    return head === undefined ? ORIGIN : { epoch: head.epoch, sequence: head.last };
  }

  /** One read, with no subscription. @throws {Problem} `storage_*` */
  async read(channelKey: ChannelKey, after: Position, limit: number): Promise<ReadResult> {
    this.#observer?.read(channelKey);
    return await this.#log.read(channelKey, after, limit);
  }

  /** Tells every subscriber, in this same tick, that the server stops, and ends. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stalls.close();
    const tails = [...this.#tails.values()];
    this.#tails.clear();
    for (const open of tails) {
      clearTimeout(open.release);
      for (const subscription of open.subscriptions) subscription.end("stopping");
    }
    // What went wrong when one was opened was said to who opened it.
    await Promise.all(tails.map((open) => open.tail.then((tail) => tail.close(), () => {})));
  }

  #open(channelKey: ChannelKey): FollowedChannel {
    const known = this.#tails.get(channelKey);
    if (known !== undefined) {
      clearTimeout(known.release);
      known.release = undefined;
      return known;
    }
    const tail = Tail.open(channelKey, {
      log: this.#log,
      relay: this.#relay,
      cache: this.#cache,
      now: this.#now,
      observer: this.#observer,
    });
    const open: FollowedChannel = {
      tail,
      opened: undefined,
      subscriptions: new Set(),
      opening: 0,
      release: undefined,
    };
    this.#tails.set(channelKey, open);
    tail.then(
      (opened) => open.opened = opened,
      () => this.#forget(channelKey, open), // the next subscriber tries anew
    );
    return open;
  }

  #left(channelKey: ChannelKey, open: FollowedChannel, subscription: Subscription): void {
    open.subscriptions.delete(subscription);
    this.#subscriptions--;
    this.#releaseLater(channelKey, open);
  }

  /** Lets go of a channel that nobody follows, after a while: they may all be coming back. */
  #releaseLater(channelKey: ChannelKey, open: FollowedChannel): void {
    if (open.subscriptions.size > 0 || open.opening > 0 || this.#isClosed) return;
    if (this.#tails.get(channelKey) !== open) return;
    clearTimeout(open.release);
    open.release = setTimeout(() => {
      this.#forget(channelKey, open);
      void open.tail.then((tail) => tail.close());
    }, this.#linger);
  }

  #forget(channelKey: ChannelKey, open: FollowedChannel): void {
    if (this.#tails.get(channelKey) === open) this.#tails.delete(channelKey);
    clearTimeout(open.release);
  }
}
