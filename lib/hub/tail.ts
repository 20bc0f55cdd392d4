import type { Log, LogListener } from "../log/log.ts";
import { BEFORE_ALL, firstPieces, type Run, withoutExpired } from "../log/run.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent, Relay } from "../shared/ephemeral.ts";
import { ORIGIN, type Position } from "../shared/offset.ts";
import type { DeliveryClock } from "./delivery_clock.ts";
import type { EphemeralBatch } from "./ephemeral_batch.ts";
import { EphemeralDelivery } from "./ephemeral_delivery.ts";
import type { HubObserver, ResumeResult } from "./hub_observer.ts";
import type { RunCache } from "./run_cache.ts";
import { RunDelivery } from "./run_delivery.ts";

/** Events in one read of the log. */
const READ_EVENTS = 2_048;
/** Upper bound of the delay between two attempts to read a store that does not answer. */
const MAX_RETRY_DELAY_MS = 5_000;

interface TailOptions {
  readonly log: Log;
  /** Brings the ephemeral events of other isolates. */
  readonly relay?: Relay | undefined;
  readonly cache: RunCache;
  readonly clock: DeliveryClock;
  readonly now: () => number;
  readonly observer?: HubObserver | undefined;
}

/** Receives what a {@link Tail} delivers. */
interface TailSubscriber {
  /** The position after the last event that it received. */
  readonly position: Position;
  /** Takes as many of the run's events as there is room for, and returns how many. */
  push(delivery: readonly [Run]): number;
  /** Returns how many of the events it takes. */
  deliverEphemeral(batch: EphemeralBatch): number;
  /** The tail has moved. */
  wake(): void;
}

/**
 * Follows the end of one channel's log in this isolate. Takes in the commits of this isolate as
 * they happen, and those of other isolates when the doorbell rings, always in the order of their
 * sequences. Pushes them to live subscribers, and reads the log for those that catch up.
 */
export class Tail implements LogListener {
  readonly #options: TailOptions;
  readonly #live = new Set<TailSubscriber>();
  /** Subscribers that have all events of an epoch which is not the tail's. */
  readonly #waiting = new Set<TailSubscriber>();
  #listening: Disposable | undefined;
  #receiving: Disposable | undefined;
  readonly #delivery: RunDelivery;
  readonly #ephemeral: EphemeralDelivery;
  /** The position after the last event that was taken in. */
  #position: Position = ORIGIN;
  #refreshing: Promise<void> | undefined;
  #mustRefresh = false;
  readonly #reads = new SerialQueue();
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #retryDelayMs = 0;
  #isClosed = false;

  private constructor(readonly channelKey: ChannelKey, options: TailOptions) {
    this.#options = options;
    this.#delivery = new RunDelivery({
      deliver: (run, since) => this.#deliver(run, since),
      subscribers: () => this.#live.size,
      clock: options.clock,
    });
    this.#ephemeral = new EphemeralDelivery({
      channelKey,
      deliver: (batch) => this.#deliverEphemeral(batch),
      onDropped: (events) => {
        const dropped = events * (this.#live.size + this.#waiting.size);
        options.observer?.ephemeralDelivered({ sent: 0, dropped });
      },
      subscribers: () => this.#live.size + this.#waiting.size,
      clock: options.clock,
    });
  }

  /** @throws {Problem} `storage_*` */
  static async open(channelKey: ChannelKey, options: TailOptions): Promise<Tail> {
    const tail = new Tail(channelKey, options);
    // Listens before it reads the head, so that no event can fall between them.
    tail.#listening = options.log.listen(channelKey, tail);
    tail.#receiving = options.relay?.subscribe(channelKey, (event) => tail.deliverEphemeral(event));
    try {
      const { end } = await options.log.bounds(channelKey);
      if (isAfter(end, tail.#position)) tail.#position = end;
      return tail;
    } catch (cause) {
      tail.close();
      throw cause;
    }
  }

  /** The position after the last event that was taken in. */
  get position(): Position {
    return this.#position;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    this.#listening?.[Symbol.dispose]();
    this.#receiving?.[Symbol.dispose]();
    this.#options.cache.clear(this.channelKey);
  }

  /**
   * Makes `subscriber` live if it has received everything that the tail has taken in, and returns
   * whether it is live. From then on the tail pushes new runs to it. Runs that still wait for their
   * delivery are skipped for this subscriber, since it has received them from the cache or the log.
   */
  goLive(subscriber: TailSubscriber): boolean {
    if (!isSame(subscriber.position, this.#position)) return false;
    this.#live.add(subscriber);
    return true;
  }

  /** Stops pushing to `subscriber`. */
  leave(subscriber: TailSubscriber): void {
    this.#live.delete(subscriber);
    this.#waiting.delete(subscriber);
  }

  /** Wakes `subscriber` once the tail moves. */
  wait(subscriber: TailSubscriber): void {
    this.#waiting.add(subscriber);
  }

  /**
   * Reads what follows `position` from the cache or the log, as much as is written at once. Empty if
   * there is nothing yet.
   *
   * @throws {Problem} `storage_*`
   */
  async read(position: Position, eventBytes: number): Promise<readonly Run[]> {
    // A position after the tail's comes from another isolate.
    if (isAfter(position, this.#position)) await this.#refresh();
    if (isSame(position, this.#position)) return [];
    const { log, now } = this.#options;
    const runs = this.cached(position, eventBytes);
    if (runs.length > 0) return runs;
    // One read of the store at a time: most that wait for it then find its events in the cache.
    return await this.#reads.run(async () => {
      const meanwhile = this.cached(position, eventBytes);
      if (meanwhile.length > 0) return meanwhile;
      const { runs } = await log.read(this.channelKey, position, READ_EVENTS);
      if (this.#sequenceOf(position) !== undefined) {
        for (const run of runs) {
          if (run.epoch === this.#position.epoch) this.#options.cache.add(run);
        }
      }
      return withoutExpired(firstPieces(runs, BEFORE_ALL, eventBytes), now());
    });
  }

  /** Returns what the cache has after `position`, as much as is written at once. */
  cached(position: Position, eventBytes: number): readonly Run[] {
    const sequence = this.#sequenceOf(position);
    if (sequence === undefined) return [];
    const runs = this.#options.cache.take(this.channelKey, sequence, eventBytes);
    return withoutExpired(runs, this.#options.now());
  }

  /** Reports that a subscriber which catches up receives `runs`. */
  caughtUp(runs: readonly Run[]): void {
    const { observer } = this.#options;
    observer?.caughtUp(this.channelKey, runs.reduce((sum, { events }) => sum + events.length, 0));
    for (const { gap } of runs) {
      if (gap !== undefined) observer?.gap(this.channelKey, gap.reason, 1);
    }
  }

  /** Reports how a subscriber continues. */
  resumed(result: ResumeResult): void {
    this.#options.observer?.resumed(this.channelKey, result);
  }

  /** Delivers `event` to the subscribers that have all events so far, and to no others. */
  deliverEphemeral(event: EphemeralEvent): void {
    this.#ephemeral.add(event);
  }

  /**
   * Returns the sequence of `position` in the tail's epoch, or undefined for another epoch. A
   * subscriber that came before the channel's first event is at its start.
   */
  #sequenceOf({ epoch, sequence }: Position): number | undefined {
    if (epoch === ORIGIN.epoch) return 0;
    return epoch === this.#position.epoch ? sequence : undefined;
  }

  /** @see {@link LogListener} */
  appended(run: Run): void {
    if (!isAfter({ epoch: run.epoch, sequence: run.last }, this.#position)) return;
    const isNext = run.epoch === this.#position.epoch && run.after === this.#position.sequence;
    const isFirst = this.#position.epoch === ORIGIN.epoch && run.after === 0;
    if (isNext || isFirst) this.#take(run);
    else this.changed(); // commits of other isolates come before it
  }

  /** @see {@link LogListener} */
  changed(): void {
    void this.#refresh().catch(() => this.#refreshLater());
  }

  #refreshLater(): void {
    if (this.#isClosed || this.#retryTimer !== undefined) return;
    this.#retryDelayMs = Math.min(MAX_RETRY_DELAY_MS, this.#retryDelayMs * 2 + 100);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.changed();
    }, this.#retryDelayMs);
  }

  /** Reads the log from the tail's position on, and once more if it is called meanwhile. */
  #refresh(): Promise<void> {
    this.#mustRefresh = true;
    return this.#refreshing ??= this.#readNew();
  }

  async #readNew(): Promise<void> {
    try {
      while (this.#mustRefresh && !this.#isClosed) await this.#readOnce();
    } finally {
      // In the same step as the last look at #mustRefresh: a call between them would be missed.
      this.#refreshing = undefined;
    }
  }

  async #readOnce(): Promise<void> {
    this.#mustRefresh = false;
    // Up to where the log has been read. Commits that are taken in during the read move the position.
    let read = this.#position;
    const { runs, head } = await this.#options.log.read(this.channelKey, read, READ_EVENTS);
    this.#retryDelayMs = 0;
    const last = runs.at(-1);
    // What is committed after the read of the head calls changed() or appended().
    const isEnd = head !== undefined && head.epoch === last?.epoch && head.last <= last.last;
    if (last !== undefined && !isEnd) this.#mustRefresh = true;
    for (const run of runs) {
      const hasMoved = !isSame(this.#position, read);
      read = { epoch: run.epoch, sequence: run.last };
      if (!isAfter(read, this.#position)) continue;
      const isOverlap = run.epoch === this.#position.epoch && this.#position.sequence > run.after;
      if (hasMoved && !isOverlap && run.gap !== undefined) {
        this.#mustRefresh = true; // the gap begins before events that were taken in
        return;
      }
      this.#take(isOverlap ? run.from(this.#position.sequence) : run);
    }
  }

  #take(run: Run): void {
    if (run.epoch !== this.#position.epoch) this.#options.cache.clear(this.channelKey);
    this.#position = { epoch: run.epoch, sequence: run.last };
    this.#delivery.add(run);
    // Before a subscriber is woken, which then looks for it there.
    this.#options.cache.add(run);
    for (const subscriber of this.#waiting) subscriber.wake();
    this.#waiting.clear();
  }

  #deliver(run: Run, since: number): void {
    const delivery = [run] as const; // one for all, since most sinks are given it as it is
    let deliveries = 0;
    let receivers = 0;
    for (const subscriber of this.#live) {
      const { epoch, sequence } = subscriber.position;
      if (epoch !== run.epoch ? epoch > run.epoch : sequence >= run.last) continue;
      const received = subscriber.push(delivery);
      deliveries += received;
      if (received > 0) receivers++;
    }
    const { observer } = this.#options;
    if (run.gap !== undefined) observer?.gap(this.channelKey, run.gap.reason, receivers);
    observer?.flushed(this.channelKey, deliveries, performance.now() - since);
  }

  #deliverEphemeral(batch: EphemeralBatch): void {
    const subscribers = this.#live.size + this.#waiting.size;
    let sent = 0;
    for (const subscriber of this.#live) sent += subscriber.deliverEphemeral(batch);
    for (const subscriber of this.#waiting) sent += subscriber.deliverEphemeral(batch);
    const dropped = subscribers * batch.events.length - sent;
    this.#options.observer?.ephemeralDelivered({ sent, dropped });
  }
}

function isSame(a: Position, b: Position): boolean {
  return a.sequence === b.sequence && a.epoch === b.epoch;
}

function isAfter(a: Position, b: Position): boolean {
  return a.epoch === b.epoch ? a.sequence > b.sequence : a.epoch > b.epoch;
}
