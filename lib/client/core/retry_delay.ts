import { backoffMs } from "../../shared/async/backoff.ts";

/** Upper bound of the first delay. */
const BASE_MS = 500;
/** Upper bound of every delay. */
const MAX_MS = 30_000;
/** The longest `Retry-After` that is obeyed. Guards against one that keeps the client away for good. */
export const MAX_RETRY_AFTER_MS = 3_600_000;

/** Returns the milliseconds to wait before the next try, after `failures` earlier failures. */
export function retryDelayMs(failures: number, random?: () => number): number {
  return backoffMs(failures, { baseMs: BASE_MS, maxMs: MAX_MS, random });
}
