import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** Time and randomness of a client that a test moves; its network is the real one. */
export class FakeTime {
  /** What `random()` gives. */
  random = 0.5;
  isOnline = true;
  isHidden = false;
  readonly #timers = new Map<number, Timer>();
  readonly #listeners = new Set<() => void>();
  #now = 1_700_000_000_000;
  #ids = 0;

  /** @param members in the place of those of this machine. */
  platform(members: Partial<Platform> = {}): Platform {
    return {
      ...PLATFORM,
      now: () => this.#now,
      random: () => this.random,
      setTimeout: (callback, milliseconds) => {
        this.#timers.set(++this.#ids, { at: this.#now + milliseconds, callback });
        return this.#ids;
      },
      clearTimeout: (id) => void this.#timers.delete(Number(id)),
      isOnline: () => this.isOnline,
      isHidden: () => this.isHidden,
      watch: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
      ...members,
    };
  }

  get now(): number {
    return this.#now;
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Time passes, and what is due is called when it is. */
  pass(milliseconds: number): void {
    const end = this.#now + milliseconds;
    while (true) {
      const [next] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at);
      if (next === undefined || next[1].at > end) break;
      const [id, { at, callback }] = next;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, at);
      callback();
    }
    this.#now = end;
  }

  /** The machine sleeps: what was due meanwhile is called when it wakes up. */
  sleep(milliseconds: number): void {
    this.#now += milliseconds;
    this.pass(0);
  }

  /** `isOnline` or `isHidden` has been changed. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
