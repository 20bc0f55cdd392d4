import { setImmediate } from "node:timers";

/** Turns of the event loop in which sockets are looked at each time: most drain at once. */
const QUICK_LOOKS = 300;
/** How often they are looked at afterwards, in ms: these are slow. */
const INTERVAL = 10;

/**
 * Waits until sockets have room again. A WebSocket tells its `bufferedAmount` but no event when it
 * falls, so one clock looks at all that are full, and only while there are some: at each turn of
 * the event loop at first, then every few milliseconds until somebody drains or joins.
 */
export class DrainPoller {
  readonly #waiting = new Map<() => boolean, () => void>();
  #looks = 0;
  #isTurning = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Resolves once `hasRoom` holds. */
  waitForRoom(hasRoom: () => boolean): Promise<void> {
    if (hasRoom()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(hasRoom, resolve);
      this.#looks = 0;
      this.#lookSoon();
    });
  }

  /** Lets go of everyone who waits. */
  close(): void {
    this.#stopTimer();
    for (const resolve of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }

  #lookSoon(): void {
    if (this.#isTurning || this.#waiting.size === 0) return;
    if (this.#looks < QUICK_LOOKS) {
      this.#stopTimer();
      this.#isTurning = true;
      setImmediate(() => {
        this.#isTurning = false;
        this.#look();
      });
    } else {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#look();
      }, INTERVAL);
    }
  }

  #look(): void {
    this.#looks++;
    for (const [hasRoom, resolve] of this.#waiting) {
      if (!hasRoom()) continue;
      this.#waiting.delete(hasRoom);
      resolve();
    }
    this.#lookSoon();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
