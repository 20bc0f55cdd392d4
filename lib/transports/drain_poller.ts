import { setImmediate } from "node:timers";

/** Polls that happen in consecutive turns of the event loop: most sockets drain within them. */
const QUICK_POLLS = 300;
/** Milliseconds between two polls after those. */
const SLOW_INTERVAL_MS = 10;

/**
 * Waits until full sockets have room again. A WebSocket has no event for a falling
 * `bufferedAmount`, so this polls all sockets that wait: first in each turn of the event loop, then
 * every few milliseconds until another one waits.
 */
export class DrainPoller {
  readonly #waiting = new Map<() => boolean, () => void>();
  #polls = 0;
  #isTurning = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Resolves once `hasRoom` returns true. */
  waitForRoom(hasRoom: () => boolean): Promise<void> {
    if (hasRoom()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(hasRoom, resolve);
      this.#polls = 0;
      this.#pollSoon();
    });
  }

  /** Resolves all waits. */
  close(): void {
    this.#stopTimer();
    for (const resolve of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }

  #pollSoon(): void {
    if (this.#isTurning || this.#waiting.size === 0) return;
    if (this.#polls < QUICK_POLLS) {
      this.#stopTimer();
      this.#isTurning = true;
      setImmediate(() => {
        this.#isTurning = false;
        this.#poll();
      });
    } else {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#poll();
      }, SLOW_INTERVAL_MS);
    }
  }

  #poll(): void {
    this.#polls++;
    for (const [hasRoom, resolve] of this.#waiting) {
      if (!hasRoom()) continue;
      this.#waiting.delete(hasRoom);
      resolve();
    }
    this.#pollSoon();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
