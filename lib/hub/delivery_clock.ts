import { setImmediate } from "node:timers";

/**
 * Subscribers up to which a delivery is small. Guards the events of channels with few subscribers
 * against waiting for those of a channel with many. To gather them would save nothing: each goes to
 * a socket of its own.
 */
const SMALL_SUBSCRIBERS = 16;

/**
 * Subscribers for each turn of the event loop after a large delivery. While sockets are being
 * written, each turn waits for some of them; then turns take microseconds. So counting turns is a
 * clock that runs as fast as the sockets do. Measured: docs/performance.md.
 */
const SUBSCRIBERS_PER_TURN = 2;

/** Milliseconds of large deliveries in one turn of the event loop, and of small ones. */
const DELIVERY_MS = 10;

/**
 * The rest after large deliveries, as a share of the time that they and their writes took. So large
 * deliveries take at most two thirds of the event loop, and publishers get the rest.
 */
const REST_SHARE = 0.5;
/** The longest rest in ms: what an event may wait while others' deliveries are over. */
const MAX_REST_MS = 25;
/** Deliveries that take less are followed by no rest: a timer is not more exact than this. */
const MIN_RESTED_MS = 2;

/** Gathers what is to be delivered to the subscribers of one channel. */
export interface Gathered {
  /** To how many subscribers a delivery goes. */
  readonly subscribers: number;
  /** Delivers what is gathered. Must not throw, and not add to a clock. */
  deliver(): void;
}

/**
 * Decides when the events of all channels of an isolate are delivered.
 *
 * Each delivery comes in a turn of the event loop after its first event, so that the publishers have
 * their answers first. Small deliveries wait for nothing else. Large ones wait until the sockets of
 * those before are written and the event loop has had a rest. So idle channels add no delay, and busy
 * ones write much at once and leave time for publishers.
 */
export class DeliveryClock implements Disposable {
  readonly #now: () => number;
  readonly #small = new Set<Gathered>();
  readonly #large = new Set<Gathered>();
  #isPlanned = false;
  /** Whether large deliveries are being written, or rest. */
  #isResting = false;
  #restTimer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  /** @param now returns milliseconds. @default {performance.now} */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Plans a delivery of `gathered`. */
  add(gathered: Gathered): void {
    const isSmall = gathered.subscribers <= SMALL_SUBSCRIBERS;
    (isSmall ? this.#small : this.#large).add(gathered);
    this.#plan();
  }

  /** Stops the clock. What waits is not delivered. */
  [Symbol.dispose](): void {
    this.#isStopped = true;
    clearTimeout(this.#restTimer);
  }

  #plan(): void {
    const isDue = this.#small.size > 0 || (this.#large.size > 0 && !this.#isResting);
    if (!isDue || this.#isPlanned || this.#isStopped) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      if (this.#isStopped) return;
      this.#run();
      this.#plan();
    });
  }

  #run(): void {
    this.#deliver(this.#small);
    if (this.#isResting || this.#large.size === 0) return;
    this.#isResting = true;
    const start = this.#now();
    const subscribers = this.#deliver(this.#large);
    afterTurns(Math.ceil(subscribers / SUBSCRIBERS_PER_TURN), () => this.#rest(start));
  }

  /** Delivers as many as there is time for, and returns to how many subscribers. */
  #deliver(waiting: Set<Gathered>): number {
    const end = this.#now() + DELIVERY_MS;
    let delivered = 0;
    for (const gathered of waiting) {
      waiting.delete(gathered);
      delivered += gathered.subscribers;
      gathered.deliver();
      if (this.#now() >= end) break;
    }
    return delivered;
  }

  /** Rests after deliveries that began at `start` and are written. */
  #rest(start: number): void {
    if (this.#isStopped) return;
    const tookMs = this.#now() - start;
    const end = () => {
      this.#isResting = false;
      this.#plan();
    };
    if (tookMs < MIN_RESTED_MS) return end();
    this.#restTimer = setTimeout(end, Math.min(MAX_REST_MS, tookMs * REST_SHARE));
  }
}

/** Calls `next` after this many turns of the event loop. */
function afterTurns(turns: number, next: () => void): void {
  if (turns <= 0) next();
  else setImmediate(() => afterTurns(turns - 1, next));
}
