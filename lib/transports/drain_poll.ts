/** How often full sockets are looked at, in ms. */
const INTERVAL = 10;

/**
 * Waits until sockets have room again. A WebSocket tells its `bufferedAmount` but no event when it
 * falls, so one timer looks at all that are full, and only while there are some.
 */
export class DrainPoll {
  readonly #waiting = new Map<() => boolean, () => void>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Resolves once `hasRoom` holds. */
  wait(hasRoom: () => boolean): Promise<void> {
    if (hasRoom()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(hasRoom, resolve);
      this.#timer ??= setInterval(() => this.#look(), INTERVAL);
    });
  }

  /** Lets go of everyone who waits. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const resolve of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }

  #look(): void {
    for (const [hasRoom, resolve] of this.#waiting) {
      if (!hasRoom()) continue;
      this.#waiting.delete(hasRoom);
      resolve();
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
