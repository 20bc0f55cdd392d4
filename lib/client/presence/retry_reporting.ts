import { isRetryable } from "../core/errors.ts";
import type { Link } from "../core/link.ts";
import { retryCall } from "../core/retry_call.ts";
import type { WeirError } from "../core/weir_error.ts";

/**
 * Retries as {@link retryCall} does, and reports answers that are not from a Weir server: nothing
 * else would tell the application why it takes so long.
 */
export async function retryReporting<T>(
  link: Link,
  attempt: () => Promise<T>,
  onError: (error: WeirError) => unknown,
  signal: AbortSignal,
): Promise<T> {
  return await retryCall(link, async () => {
    try {
      return await attempt();
    } catch (cause) {
      if (isRetryable(cause) && cause.code === "bad_answer") onError(cause);
      throw cause;
    }
  }, { signal });
}
