import { Problem } from "../shared/problem.ts";

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
export function isPassing(problem: Problem): boolean {
  return problem.code === "storage_unavailable";
}

/**
 * `work`, or `storage_unavailable` when it takes longer than `milliseconds`: over KV Connect the
 * client waits out an outage by itself, and whoever asks should not wait with it.
 */
export async function withinTime<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work, timeout]);
  } catch (cause) {
    throw storageProblem(cause);
  } finally {
    clearTimeout(timer);
  }
}
