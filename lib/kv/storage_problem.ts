import { deadline } from "../shared/async/deadline.ts";
import { Problem } from "../shared/problem.ts";
import { STORE_TIMEOUT_MS } from "./limits.ts";

/**
 * What an error of Deno KV means to a caller. The store's own words tell, since its errors have no
 * codes (SQLite's result codes SQLITE_FULL, SQLITE_READONLY, SQLITE_IOERR by their messages).
 */
export function storageProblem(cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/readonly database|read-only/i.test(message)) {
    return new Problem("storage_read_only", "The store can be read but not written.", { cause });
  }
  if (/disk is full|disk I\/O error|no space left/i.test(message)) {
    return new Problem("storage_full", "The store's disk is full or fails.", { cause });
  }
  if (isTooLarge(cause)) {
    return new Problem("internal", "The store takes no values of this size.", { cause });
  }
  return new Problem("storage_unavailable", "The store cannot be reached at the moment.", {
    cause,
  });
}

/** True where the store refused what a commit holds, before it was sent. */
export function isTooLarge(cause: unknown): boolean {
  return cause instanceof TypeError && /^Too many|too large/.test(cause.message);
}

/** True where trying again later may help without anyone doing something about it. */
export function isOutage(problem: Problem): boolean {
  return problem.code === "storage_unavailable";
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
