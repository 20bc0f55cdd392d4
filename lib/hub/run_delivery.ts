import { joinRuns, type Run } from "../log/run.ts";
import { afterWrites, type DeliveryTurns } from "./turns.ts";

interface RunDeliveryOptions {
  /** Delivers `run`, whose first event has waited since `since` (`performance.now()`). */
  readonly deliver: (run: Run, since: number) => void;
  /** Returns how many subscribers a delivery is written to. */
  readonly subscribers: () => number;
  /** Shared by the channels of an isolate. */
  readonly turns: DeliveryTurns;
}

/**
 * Gathers the new runs of one channel and delivers them together.
 *
 * Delivery is self-clocked. It comes a turn of the event loop after the first run, so that the
 * publishers have their answers first, and not before the sockets of the delivery before it are
 * written. So an idle channel adds no delay, and a busy one writes much at once.
 */
export class RunDelivery {
  readonly #options: RunDeliveryOptions;
  /** Consecutive runs of one epoch. */
  #pending: Run[] = [];
  /** `performance.now()` when the first of them was added. */
  #pendingSince = 0;
  #isFlushing = false;

  constructor(options: RunDeliveryOptions) {
    this.#options = options;
  }

  /**
   * Adds the run that follows the one before. A run of another epoch, or with a gap, cannot be
   * joined: those before it are delivered at once.
   */
  add(run: Run): void {
    if (run.epoch === this.#pending.at(-1)?.epoch && run.gap === undefined) {
      this.#pending.push(run);
    } else {
      this.#flush();
      this.#pending = [run];
      this.#pendingSince = performance.now();
    }
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#isFlushing || this.#pending.length === 0) return;
    this.#isFlushing = true;
    this.#options.turns.add(() => {
      this.#flush();
      afterWrites(this.#options.subscribers(), () => {
        this.#isFlushing = false;
        this.#flushSoon();
      });
    });
  }

  #flush(): void {
    const [first, ...others] = this.#pending;
    this.#pending = [];
    if (first === undefined || this.#options.subscribers() === 0) return;
    this.#options.deliver(joinRuns([first, ...others]), this.#pendingSince);
  }
}
