import type { WeirError } from "../core/weir_error.ts";
import { backoffMs } from "../../shared/async/backoff.ts";

/** Upper bounds of the first delay between two tries, and of every delay. */
const RETRY_DELAYS = { baseMs: 200, maxMs: 5_000 } as const;

/**
 * Returns how many ms to wait after an error that follows `failures` others: what the server asks for,
 * or a backoff. Random, since producers that were refused together must not come back together.
 */
export function retryDelayMs({ retryAfter }: WeirError, failures: number): number {
  return retryAfter === undefined
    ? backoffMs(failures, RETRY_DELAYS)
    : retryAfter * (1 + Math.random() / 2);
}
