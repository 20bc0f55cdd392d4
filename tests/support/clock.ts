import { type Clock, createClock, type FakeMethod, install } from "@sinonjs/fake-timers";

const GLOBALS = {
  Date: ["Date"],
  performance: ["performance"],
  timeouts: ["setTimeout", "clearTimeout"],
  intervals: ["setInterval", "clearInterval"],
} as const satisfies Record<string, readonly FakeMethod[]>;

export interface FakeClockOptions {
  /** Milliseconds since 1970. @default 1_700_000_000_000 */
  readonly start?: number;
  /** What of the global object shows this clock until it is disposed of. @default [] */
  readonly replaces?: readonly (keyof typeof GLOBALS)[];
}

/** The clock of tests: time passes, and timers fire, only when a test says so. */
export class FakeClock implements Disposable {
  readonly #clock: Clock;

  constructor({ start = 1_700_000_000_000, replaces = [] }: FakeClockOptions = {}) {
    const toFake = replaces.flatMap((name) => GLOBALS[name]);
    // `install()` with an empty list would replace everything.
    this.#clock = toFake.length === 0 ? createClock(start) : install({ now: start, toFake });
    // The library's `performance.now()` counts from `start`; here it equals `Date.now()`.
    this.#clock.performance.now = this.now;
  }

  /** Returns the time, as `Date.now()` does. Can be passed as a function. */
  readonly now = (): number => this.#clock.now;

  readonly setTimeout: Clock["setTimeout"] = (...args) => this.#clock.setTimeout(...args);

  readonly setInterval: Clock["setInterval"] = (...args) => this.#clock.setInterval(...args);

  readonly clearTimeout: Clock["clearTimeout"] = (id) => this.#clock.clearTimeout(id);

  readonly clearInterval: Clock["clearInterval"] = (id) => this.#clock.clearInterval(id);

  /** The number of timers that are still to fire. */
  get timers(): number {
    return this.#clock.countTimers();
  }

  /** Lets time pass. Timers fire in order, each at its own time. A negative time sets it back. */
  advance(ms: number): void {
    if (ms < 0) this.set(this.#clock.now + ms);
    else this.#clock.tick(ms);
  }

  /** Like {@link advance}, and lets promises settle after each timer. */
  async advanceAsync(ms: number): Promise<void> {
    await this.#clock.tickAsync(ms);
  }

  /** Sets the clock to `time`, later or earlier. Timers keep the time that they have left. */
  set(time: number): void {
    this.#clock.setSystemTime(time);
  }

  /** Lets the machine sleep: timers that were due meanwhile fire when it wakes up. */
  sleep(ms: number): void {
    this.#clock.jump(ms);
  }

  [Symbol.dispose](): void {
    this.#clock.uninstall();
  }
}
