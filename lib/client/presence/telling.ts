import { isRetryable } from "../core/errors.ts";
import type { WeirError } from "../core/weir_error.ts";

/** The same attempt, which tells of answers that are no Weir's: they are repeated, and nobody knew. */
export function telling<T>(
  onError: (error: WeirError) => unknown,
  attempt: () => Promise<T>,
): () => Promise<T> {
  return async () => {
    try {
      return await attempt();
    } catch (cause) {
      if (isRetryable(cause) && cause.code === "bad_answer") onError(cause);
      throw cause;
    }
  };
}
