import { setImmediate } from "node:timers";
import type { Log } from "../log/log.ts";
import { joinRuns, type Run, withoutExpired } from "../log/run.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent, Relay } from "../shared/ephemeral.ts";
import { ORIGIN, type Position } from "../shared/offset.ts";
import type { HubObserver } from "./hub_observer.ts";
import { EphemeralDelivery } from "./ephemeral_delivery.ts";
import type { EphemeralBatch } from "./ephemeral_batch.ts";
import type { RunCache } from "./run_cache.ts";
import type { Subscription } from "./subscription.ts";
import { afterWrites } from "./turns.ts";

/** Events in one read of the log. */
const READ_EVENTS = 2_048;
/** Between two tries to read a store that is away, in ms, at the most. */
const MAX_RETRY_DELAY = 5_000;

export interface TailOptions {
  readonly log: Log;
  /** Where ephemeral events of other isolates come from. */
  readonly relay?: Relay | undefined;
  readonly cache: RunCache;
  readonly now: () => number;
  readonly observer?: HubObserver | undefined;
}

/**
 * The head of one channel as this isolate knows it. Takes in what is committed here and, when it
 * is rung, what others committed; always in sequence order. Hands it to the live subscriptions,
 * and pages of the log to those that catch up.
 */
export class Tail {
  readonly #options: TailOptions;
  readonly #live = new Set<Subscription>();
  /** Subscriptions that have all there is, in another epoch than the tail's. */
  readonly #waiting = new Set<Subscription>();
  #listening: Disposable | undefined;
  #receiving: Disposable | undefined;
  readonly #ephemeral: EphemeralDelivery;
  /** After the last event that was taken in. */
  #position: Position = ORIGIN;
  /** Taken in since the last flush. */
  #pending: Run[] = [];
  /** `performance.now()` when the first of them was taken in. */
  #pendingSince = 0;
  #isFlushing = false;
  #refreshing: Promise<void> | undefined;
  #mustRefresh = false;
  #reading: Promise<void> = Promise.resolve();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #retryDelay = 0;
  #isClosed = false;

  private constructor(readonly channelKey: ChannelKey, options: TailOptions) {
    this.#options = options;
    this.#ephemeral = new EphemeralDelivery(channelKey, (batch) => this.#deliver(batch));
  }

  /** @throws {Problem} `storage_*` */
  static async open(channelKey: ChannelKey, options: TailOptions): Promise<Tail> {
    const tail = new Tail(channelKey, options);
    // First the bell, then the look at the head: nothing can fall between them.
    tail.#listening = options.log.listen(channelKey, {
      appended: (run) => tail.#appended(run),
      changed: () => tail.#ring(),
    });
    tail.#receiving = options.relay?.subscribe(channelKey, (event) => tail.deliverEphemeral(event));
    try {
      const head = await options.log.head(channelKey);
      const position = head === undefined ? ORIGIN : { epoch: head.epoch, sequence: head.last };
      if (isAfter(position, tail.#position)) tail.#position = position;
      return tail;
    } catch (cause) {
      tail.close();
      throw cause;
    }
  }

  get position(): Position {
    return this.#position;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#listening?.[Symbol.dispose]();
    this.#receiving?.[Symbol.dispose]();
    this.#options.cache.clear(this.channelKey);
  }

  /**
   * Makes `subscription` live if it has all that the tail has taken in. From then on the tail
   * pushes; what is pending for the next flush it has already, and the flush leaves that out.
   */
  goLive(subscription: Subscription): boolean {
    if (!isSame(subscription.position, this.#position)) return false;
    this.#live.add(subscription);
    return true;
  }

  /** Stops pushing to `subscription`. */
  leave(subscription: Subscription): void {
    this.#live.delete(subscription);
    this.#waiting.delete(subscription);
  }

  /** Wakes `subscription` when the tail moves. */
  wait(subscription: Subscription): void {
    this.#waiting.add(subscription);
  }

  /**
   * What follows `position`, from the cache or the log; empty: nothing yet.
   *
   * @throws {Problem} `storage_*`
   */
  async read(position: Position): Promise<readonly Run[]> {
    const { log, now } = this.#options;
    if (isAfter(position, this.#position)) await this.#refresh(); // it comes from another isolate
    if (isSame(position, this.#position)) return [];
    if (position.epoch !== this.#position.epoch) {
      return (await log.read(this.channelKey, position, READ_EVENTS)).runs;
    }
    const runs = this.cached(position);
    if (runs.length > 0) return runs;
    // One read of the store at a time: who waits for it mostly finds in the cache what it brought.
    const before = this.#reading;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#reading = promise;
    try {
      await before;
      const meanwhile = this.cached(position);
      if (meanwhile.length > 0) return meanwhile;
      const { runs } = await log.read(this.channelKey, position, READ_EVENTS);
      if (position.epoch === this.#position.epoch) {
        for (const run of runs) if (run.epoch === position.epoch) this.#options.cache.add(run);
      }
      return withoutExpired(runs, now());
    } finally {
      resolve();
    }
  }

  /** Delivers `event` to the subscriptions that have all there is, and to no others. */
  deliverEphemeral(event: EphemeralEvent): void {
    this.#ephemeral.add(event);
  }

  /** What the cache has after `position`, at once. */
  cached(position: Position): readonly Run[] {
    if (position.epoch !== this.#position.epoch) return [];
    const runs = this.#options.cache.take(this.channelKey, position.sequence);
    return withoutExpired(runs, this.#options.now());
  }

  /** A subscription that catches up is given `runs`. */
  caughtUp(runs: readonly Run[]): void {
    const { observer } = this.#options;
    observer?.caughtUp(this.channelKey, runs.reduce((sum, { events }) => sum + events.length, 0));
  }

  #appended(run: Run): void {
    const isNext = run.epoch === this.#position.epoch && run.after === this.#position.sequence;
    const isFirst = this.#position.epoch === ORIGIN.epoch && run.after === 0;
    if (isNext || isFirst) this.#take(run);
    else this.#ring(); // others' commits lie between: read them first
  }

  #ring(): void {
    void this.#refresh().catch(() => this.#refreshLater());
  }

  #refreshLater(): void {
    if (this.#isClosed || this.#retry !== undefined) return;
    this.#retryDelay = Math.min(MAX_RETRY_DELAY, this.#retryDelay * 2 + 100);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#ring();
    }, this.#retryDelay);
  }

  /** Reads the log from the tail's position on. Rung while it reads, it reads once more. */
  #refresh(): Promise<void> {
    this.#mustRefresh = true;
    this.#refreshing ??= this.#readOn().finally(() => this.#refreshing = undefined);
    return this.#refreshing;
  }

  async #readOn(): Promise<void> {
    while (this.#mustRefresh && !this.#isClosed) {
      this.#mustRefresh = false;
      const { runs } = await this.#options.log.read(this.channelKey, this.#position, READ_EVENTS);
      this.#retryDelay = 0;
      for (const run of runs) {
        if (!isAfter({ epoch: run.epoch, sequence: run.last }, this.#position)) continue;
        // A commit of this isolate may have been taken in while the log was read.
        const isOverlap = run.epoch === this.#position.epoch && this.#position.sequence > run.after;
        this.#take(isOverlap ? run.from(this.#position.sequence) : run);
        this.#mustRefresh = true;
      }
    }
  }

  #take(run: Run): void {
    if (run.epoch !== this.#position.epoch) this.#options.cache.clear(this.channelKey);
    this.#position = { epoch: run.epoch, sequence: run.last };
    if (run.epoch === this.#pending.at(-1)?.epoch && run.gap === undefined) {
      this.#pending.push(run);
    } else {
      this.#flush();
      this.#pending = [run];
      this.#pendingSince = performance.now();
    }
    // The cache has it before anyone can ask for it.
    this.#options.cache.add(run);
    this.#flushSoon();
    for (const subscription of this.#waiting) subscription.wake();
    this.#waiting.clear();
  }

  /**
   * Self-clocked: a turn of the event loop later, so that publishers have their answers first, and
   * not before the sockets of the last flush are written. What comes in meanwhile leaves together
   * in the next one: no delay when idle, large writes under load.
   */
  #flushSoon(): void {
    if (this.#isFlushing || this.#pending.length === 0) return;
    this.#isFlushing = true;
    setImmediate(() => {
      this.#flush();
      afterWrites(this.#live.size, () => {
        this.#isFlushing = false;
        this.#flushSoon();
      });
    });
  }

  #deliver(batch: EphemeralBatch): number {
    for (const subscription of this.#live) subscription.deliverEphemeral(batch);
    for (const subscription of this.#waiting) subscription.deliverEphemeral(batch);
    return this.#live.size + this.#waiting.size;
  }

  #flush(): void {
    const [first, ...others] = this.#pending;
    this.#pending = [];
    if (first === undefined || this.#live.size === 0) return;
    const run = joinRuns([first, ...others]);
    const whole = [run];
    let deliveries = 0;
    for (const subscription of this.#live) {
      const { epoch, sequence } = subscription.position;
      if (epoch !== run.epoch ? epoch > run.epoch : sequence >= run.last) continue;
      const needed = epoch === run.epoch ? run.from(sequence) : run;
      deliveries += needed.events.length;
      subscription.push(needed === run ? whole : [needed]);
    }
    const { observer } = this.#options;
    observer?.flushed(this.channelKey, deliveries, performance.now() - this.#pendingSince);
  }
}

function isSame(a: Position, b: Position): boolean {
  return a.sequence === b.sequence && a.epoch === b.epoch;
}

function isAfter(a: Position, b: Position): boolean {
  return a.epoch === b.epoch ? a.sequence > b.sequence : a.epoch > b.epoch;
}
