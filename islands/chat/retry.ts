import type { ConnectionState, Weir } from "../../lib/client/api.ts";
import { isRetryable } from "../../lib/client/core/errors.ts";

/** The delay before the next try. It doubles each time up to the maximum. */
const MIN_DELAY_MS = 500;
const MAX_DELAY_MS = 10_000;

/**
 * Calls `ask` until it succeeds. After a temporary error it tries again once the connection opens,
 * or after a growing delay. It differs from `lib/shared/async/retry.ts` in that the connection can
 * end the delay.
 *
 * @throws the first error that is not temporary, or the reason of `signal`
 */
export async function retryTemporaryErrors<T>(
  weir: Pick<Weir, "state">,
  ask: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (let wait = MIN_DELAY_MS;; wait = Math.min(2 * wait, MAX_DELAY_MS)) {
    try {
      signal.throwIfAborted();
      return await ask();
    } catch (cause) {
      if (signal.aborted || !isRetryable(cause) || weir.state.value.status === "closed") {
        throw cause;
      }
    }
    await nextChance(weir, wait, signal);
  }
}

function nextChance(weir: Pick<Weir, "state">, wait: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      unwatch();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, wait);
    let isPresent = true; // the first call has the present state
    const unwatch = weir.state.subscribe(({ status }: ConnectionState) => {
      if (!isPresent && (status === "open" || status === "closed")) end();
    });
    isPresent = false;
    signal.addEventListener("abort", end);
  });
}
