type Callback = (...args: readonly unknown[]) => void;

interface Timer {
  at: number;
  readonly callback: () => void;
  /** For `setInterval`. */
  readonly intervalMs?: number;
}

const GLOBALS = {
  Date: (clock: FakeClock) => replace(Date, { now: clock.now }),
  performance: (clock: FakeClock) => replace(performance, { now: clock.now }),
  timeouts: ({ setTimeout, clearTimeout }: FakeClock) =>
    replace(globalThis, { setTimeout, clearTimeout }),
  intervals: ({ setInterval, clearInterval }: FakeClock) =>
    replace(globalThis, { setInterval, clearInterval }),
};

export interface FakeClockOptions {
  /** Milliseconds since 1970. @default 1_700_000_000_000 */
  readonly start?: number;
  /** What of the global object shows this clock until it is disposed of. @default [] */
  readonly replaces?: readonly (keyof typeof GLOBALS)[];
}

/** The clock of tests: time passes, and timers fire, only when a test says so. */
export class FakeClock implements Disposable {
  readonly #timers = new Map<number, Timer>();
  readonly #restore: readonly (() => void)[];
  #now: number;
  #ids = 0;

  constructor({ start = 1_700_000_000_000, replaces = [] }: FakeClockOptions = {}) {
    this.#now = start;
    this.#restore = replaces.map((name) => GLOBALS[name](this));
  }

  /** Returns the time, as `Date.now()` does. Can be passed as a function. */
  readonly now = (): number => this.#now;

  readonly setTimeout = (callback: Callback, ms = 0, ...args: readonly unknown[]): number =>
    this.#add({ at: this.#now + ms, callback: () => callback(...args) });

  readonly setInterval = (callback: Callback, ms = 0, ...args: readonly unknown[]): number =>
    this.#add({ at: this.#now + ms, callback: () => callback(...args), intervalMs: ms });

  readonly clearTimeout = (id: unknown): void => void this.#timers.delete(Number(id));

  readonly clearInterval = this.clearTimeout;

  /** The number of timers that are still to fire. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Lets time pass. Timers fire in order, each at its own time. A negative time sets it back. */
  advance(ms: number): void {
    if (ms < 0) return this.set(this.#now + ms);
    const end = this.#now + ms;
    while (this.#fireNext(end));
    this.#now = end;
  }

  /** Like {@link advance}, and lets promises settle after each timer. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#now + ms;
    do await settled(); while (this.#fireNext(end));
    this.#now = end;
  }

  /** Sets the clock to `time`, later or earlier. Timers keep the time that they have left. */
  set(time: number): void {
    const change = time - this.#now;
    this.#now = time;
    for (const timer of this.#timers.values()) timer.at += change;
  }

  /** Lets the machine sleep: timers that were due meanwhile fire when it wakes up. */
  sleep(ms: number): void {
    this.#now += ms;
    this.advance(0);
  }

  [Symbol.dispose](): void {
    for (const restore of this.#restore) restore();
  }

  #add(timer: Timer): number {
    this.#timers.set(++this.#ids, timer);
    return this.#ids;
  }

  /** Fires the first timer that is due until `end`, if there is one. */
  #fireNext(end: number): boolean {
    let next: readonly [number, Timer] | undefined;
    for (const entry of this.#timers) {
      if (next === undefined || entry[1].at < next[1].at) next = entry;
    }
    if (next === undefined || next[1].at > end) return false;
    const [id, timer] = next;
    this.#timers.delete(id);
    this.#now = Math.max(this.#now, timer.at);
    if (timer.intervalMs !== undefined) {
      // Set again at the end of the map, after timers that are due at the same time.
      this.#timers.set(id, { ...timer, at: timer.at + Math.max(1, timer.intervalMs) });
    }
    timer.callback();
    return true;
  }
}

/** Replaces members of `target`. Returns a function that puts the originals back. */
function replace(target: object, members: Readonly<Record<string, unknown>>): () => void {
  const restore = Object.entries(members).map(([name, value]) => {
    const original = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
    return () => {
      if (original === undefined) Reflect.deleteProperty(target, name);
      else Object.defineProperty(target, name, original);
    };
  });
  return () => restore.forEach((undo) => undo());
}

const { setTimeout: realSetTimeout } = globalThis;

function settled(): Promise<void> {
  return new Promise((resolve) => realSetTimeout(resolve, 0));
}
