import type { Platform } from "../core/platform.ts";

/** A wait before the next try, which events of the page can shorten. */
export class RetryWait {
  /** Ends the wait as soon as `start()` allows it. */
  wake = (): void => {};
  /** Ends the wait now. */
  stop = (): void => {};
  readonly #platform: Platform;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /**
   * Resolves after `delayMs`, or when the wait is ended.
   *
   * @param delayMs if undefined, the wait has to be ended.
   * @param earliest when `wake()` may end it, in milliseconds since 1970.
   */
  start(delayMs: number | undefined, earliest: number): Promise<void> {
    const { now, setTimeout, clearTimeout } = this.#platform;
    const maxWakeMs = earliest - now(); // holds even if the clock is set back meanwhile
    return new Promise((resolve) => {
      let timer: unknown;
      const endAfter = (delayMs: number) => {
        clearTimeout(timer);
        timer = setTimeout(this.stop, delayMs);
      };
      this.wake = () => endAfter(Math.max(0, Math.min(maxWakeMs, earliest - now())));
      this.stop = () => {
        clearTimeout(timer);
        this.wake = this.stop = () => {};
        resolve();
      };
      if (delayMs !== undefined) endAfter(delayMs);
    });
  }
}
