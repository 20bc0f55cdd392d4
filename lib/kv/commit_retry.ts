import { retry } from "../shared/async/retry.ts";
import { Problem } from "../shared/problem.ts";

/** Attempts at a commit that other commits or isolates keep from succeeding. */
export const MAX_COMMIT_ATTEMPTS = 50;

/** Backoff between attempts: long enough that isolates don't collide again. */
export const COMMIT_BACKOFF = { baseMs: 1, maxMs: 64 } as const;

/** A row that a commit checked was changed by another commit. */
export class ConflictError extends Error {
  override readonly name: string = "ConflictError";
}

/**
 * Does `work`, a commit or the opening of the store, and repeats it while another isolate holds the
 * lock of the SQLite file (SQLITE_BUSY). A rejected attempt has changed nothing.
 */
export function retryLocked<T>(work: () => Promise<T>): Promise<T> {
  return retry(work, {
    ...COMMIT_BACKOFF,
    maxAttempts: MAX_COMMIT_ATTEMPTS,
    isRetriable: (cause) => /database is locked/.test(String(cause)),
  });
}

/**
 * Does `work`, which reads rows and commits a change of them, and repeats all of it while it throws
 * a {@link ConflictError}.
 *
 * @param contended the error's detail once all attempts are used up.
 * @throws {Problem} `contended`
 */
export async function retryConflicts<T>(
  work: () => Promise<T>,
  contended: string,
  random?: () => number,
): Promise<T> {
  try {
    return await retry(work, {
      ...COMMIT_BACKOFF,
      random,
      maxAttempts: MAX_COMMIT_ATTEMPTS,
      isRetriable: isConflict,
    });
  } catch (cause) {
    throw isConflict(cause) ? new Problem("contended", contended, { cause }) : cause;
  }
}

function isConflict(cause: unknown): boolean {
  return cause instanceof ConflictError;
}
