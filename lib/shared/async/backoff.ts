export interface BackoffOptions {
  /** Upper bound of the delay after `failures` 0; each failure doubles it. */
  readonly baseMs: number;
  /** The bound does not grow beyond this. */
  readonly maxMs: number;
  /** Returns a number from 0 up to, but not including, 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/**
 * Returns the milliseconds to wait before the next attempt, after `failures` of them: exponential
 * backoff with full jitter. The delay is uniform between 0 and the bound, so that those who failed
 * together do not come back together.
 */
export function backoffMs(
  failures: number,
  { baseMs, maxMs, random = Math.random }: BackoffOptions,
): number {
  return random() * Math.min(maxMs, baseMs * 2 ** failures);
}
