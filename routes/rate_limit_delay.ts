import { pause } from "../lib/shared/async/delay.ts";

/**
 * Average milliseconds that the answer to a rate-limited request waits. Each wait is random:
 * clients that were refused together would otherwise retry together.
 */
const AVERAGE_DELAY_MS = 250;
/** Answers that may wait at once. Further ones don't wait. Guards against refusals that fill memory. */
const MAX_WAITING = 2_000;

/**
 * Delays the answers to rate-limited requests. Guards against a client that retries at once and
 * takes the server's time from clients within their limits.
 */
export class RateLimitDelay {
  #waiting = 0;

  async wait(): Promise<void> {
    if (this.#waiting >= MAX_WAITING) return;
    this.#waiting++;
    await pause(AVERAGE_DELAY_MS * (0.5 + Math.random()));
    this.#waiting--;
  }
}
