import { joinRuns, type Run } from "../log/run.ts";
import type { DeliveryClock, Gathered } from "./delivery_clock.ts";

interface RunDeliveryOptions {
  /** Delivers `run`, whose first event has waited since `since` (`performance.now()`). */
  readonly deliver: (run: Run, since: number) => void;
  /** Returns how many subscribers a delivery is written to. */
  readonly subscribers: () => number;
  /** Shared by the channels of an isolate. */
  readonly clock: DeliveryClock;
}

/** Gathers the new runs of one channel, and delivers them together when the clock says so. */
export class RunDelivery implements Gathered {
  readonly #options: RunDeliveryOptions;
  /** Consecutive runs of one epoch. */
  #pending: Run[] = [];
  /** `performance.now()` when the first of them was added. */
  #pendingSince = 0;

  constructor(options: RunDeliveryOptions) {
    this.#options = options;
  }

  get subscribers(): number {
    return this.#options.subscribers();
  }

  /**
   * Adds the run that follows the one before. A run of another epoch, or with a gap, cannot be
   * joined: those before it are delivered at once.
   */
  add(run: Run): void {
    if (run.epoch === this.#pending.at(-1)?.epoch && run.gap === undefined) {
      this.#pending.push(run);
      return;
    }
    this.deliver();
    this.#pending = [run];
    this.#pendingSince = performance.now();
    this.#options.clock.add(this);
  }

  deliver(): void {
    const [first, ...others] = this.#pending;
    this.#pending = [];
    if (first === undefined || this.subscribers === 0) return;
    this.#options.deliver(joinRuns([first, ...others]), this.#pendingSince);
  }
}
