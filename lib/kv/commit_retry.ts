import { retry } from "../shared/async/retry.ts";
import { Problem } from "../shared/problem.ts";
import { STORE_TIMEOUT_MS } from "./limits.ts";

/** Attempts at a commit while another isolate holds the lock of the file. */
const MAX_LOCKED_ATTEMPTS = 50;

/**
 * How long a change is repeated that commits of other isolates keep from succeeding. Shorter than
 * the timeout of the store, so that the caller learns that nothing was stored.
 */
export const CONFLICT_TIMEOUT_MS = STORE_TIMEOUT_MS - 500;

/** Backoff while another isolate holds the lock. */
const LOCKED_BACKOFF = { baseMs: 1, maxMs: 64 } as const;

/**
 * Backoff after a conflict: enough that isolates don't collide again, and not so long that those
 * which don't wait make all the commits.
 */
export const CONFLICT_BACKOFF = { baseMs: 1, maxMs: 8 } as const;

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
    ...LOCKED_BACKOFF,
    maxAttempts: MAX_LOCKED_ATTEMPTS,
    isRetriable: (cause) => /database is locked/.test(String(cause)),
  });
}

/**
 * Does `work`, which reads rows and commits a change of them, and repeats all of it while it throws
 * a {@link ConflictError}, for {@link CONFLICT_TIMEOUT_MS}.
 *
 * @param contended the error's detail once the time is over.
 * @throws {Problem} `contended`
 */
export async function retryConflicts<T>(
  work: () => Promise<T>,
  contended: string,
  random?: () => number,
): Promise<T> {
  const end = performance.now() + CONFLICT_TIMEOUT_MS;
  try {
    return await retry(work, {
      ...CONFLICT_BACKOFF,
      random,
      maxAttempts: Infinity,
      isRetriable: (cause) => isConflict(cause) && performance.now() < end,
    });
  } catch (cause) {
    throw isConflict(cause) ? new Problem("contended", contended, { cause }) : cause;
  }
}

function isConflict(cause: unknown): boolean {
  return cause instanceof ConflictError;
}
