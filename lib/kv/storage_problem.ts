import { deadline } from "../shared/async/deadline.ts";
import { Problem } from "../shared/problem.ts";
import { STORE_TIMEOUT_MS } from "./limits.ts";

/**
 * Converts an error of Deno KV. Its errors have no codes, so they are recognized by their messages:
 * those of SQLITE_FULL, SQLITE_READONLY and SQLITE_IOERR.
 */
export function storageProblem(cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/readonly database|read-only/i.test(message)) {
    return new Problem("storage_read_only", "The store is read-only.", { cause });
  }
  if (/disk is full|disk I\/O error|no space left/i.test(message)) {
    return new Problem("storage_full", "The store's disk is full or has failed.", { cause });
  }
  if (isTooLarge(cause)) {
    return new Problem("internal", "The value is too large for the store.", { cause });
  }
  return new Problem("storage_unavailable", "The store does not answer.", {
    cause,
  });
}

/** Returns whether the client of the store refused a commit for its size, without sending it. */
export function isTooLarge(cause: unknown): boolean {
  return cause instanceof TypeError && /^Too many|too large/.test(cause.message);
}

/** Returns whether the store may recover by itself. */
export function isOutage(problem: Problem): boolean {
  return problem.code === "storage_unavailable";
}

/** Returns whether the store accepts no commit at all for now. */
export function isFull(problem: Problem): boolean {
  return problem.code === "storage_full" || problem.code === "storage_read_only";
}

/**
 * Resolves as `work` does, unless the store takes longer than {@link STORE_TIMEOUT_MS}: the client
 * of KV Connect waits for the end of an outage, and callers should not wait with it.
 *
 * @throws {Problem} `storage_*`; what `work` rejects with becomes one too.
 */
export async function withStoreTimeout<T>(work: Promise<T>): Promise<T> {
  try {
    return await deadline(work, STORE_TIMEOUT_MS);
  } catch (cause) {
    throw storageProblem(cause);
  }
}
