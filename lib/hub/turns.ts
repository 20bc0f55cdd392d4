import { setImmediate } from "node:timers";

/**
 * Subscribers for each turn of the event loop between two deliveries. While sockets are being
 * written, each turn waits for some of them; then turns take microseconds. So counting turns is a
 * clock that runs as fast as the sockets do. Measured: docs/performance.md.
 */
const SUBSCRIBERS_PER_TURN = 2;

/** Milliseconds of deliveries in one turn of the event loop. */
const DELIVERY_MS = 10;

/**
 * Runs the deliveries of all channels, each in a turn of the event loop after it was added. Guards
 * against a publish to many channels with many subscribers, for whose deliveries all others wait.
 */
export class DeliveryTurns {
  readonly #now: () => number;
  #waiting: (() => void)[] = [];
  #isPlanned = false;

  /** @param now returns milliseconds. @default {performance.now} */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  add(deliver: () => void): void {
    this.#waiting.push(deliver);
    this.#plan();
  }

  #plan(): void {
    if (this.#isPlanned || this.#waiting.length === 0) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      this.#run();
      this.#plan();
    });
  }

  #run(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const end = this.#now() + DELIVERY_MS;
    let delivered = 0;
    for (const deliver of waiting) {
      if (delivered > 0 && this.#now() >= end) break;
      deliver();
      delivered++;
    }
    this.#waiting.unshift(...waiting.slice(delivered));
  }
}

/** Calls `next` once what was delivered to this many subscribers is probably written. */
export function afterWrites(subscribers: number, next: () => void): void {
  afterTurns(Math.ceil(subscribers / SUBSCRIBERS_PER_TURN), next);
}

/** Calls `next` after this many turns of the event loop. */
function afterTurns(turns: number, next: () => void): void {
  if (turns <= 0) next();
  else setImmediate(() => afterTurns(turns - 1, next));
}
