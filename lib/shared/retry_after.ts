import type { Problem, Quota } from "./problem.ts";
import { statusOf } from "./problem_codes.ts";

/** Milliseconds until a refused client may retry, if nothing better is known. */
const RETRY_AFTER_MS = 1_000;
/** Milliseconds after which a client with a longer wait may check whether its limits have changed. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * Returns the whole milliseconds, at least 1, after which a refused client may retry. Undefined if
 * the same request would be refused again.
 */
export function retryAfterMs({ code, quota, retryAfterMs }: Problem): number | undefined {
  if (quota !== undefined) return quotaRetryAfterMs(quota);
  if (retryAfterMs !== undefined) return wholeMs(retryAfterMs);
  return [429, 503, 507].includes(statusOf(code)) ? RETRY_AFTER_MS : undefined;
}

/** Returns the whole milliseconds, at least 1, until the limit allows more. */
export function quotaRetryAfterMs(quota: Quota): number {
  return wholeMs(quota.retryAfterMs);
}

function wholeMs(ms: number): number {
  return Math.min(MAX_RETRY_AFTER_MS, Math.max(1, Math.ceil(ms)));
}
