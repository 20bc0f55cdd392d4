import { pause } from "../../shared/async/delay.ts";
import { retryDelayMs } from "./retry_delay.ts";
import { closedError, isRetryable } from "./errors.ts";
import type { Link } from "./link.ts";
import { onAbort } from "./on_abort.ts";
import type { ConnectionState } from "./state.ts";

/** The longest delay of a timer: 25 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface RetryCallOptions {
  readonly signal?: AbortSignal;
  /** Returns 0 ≤ random < 1. @default {Math.random} */
  readonly random?: () => number;
}

/** Whether a call may succeed now: there is a connection, or none has been needed yet. */
export function canCall({ status }: ConnectionState): boolean {
  return status === "open" || status === "idle";
}

/**
 * Calls `attempt` until it succeeds or fails for good. After a retryable error it waits once to
 * twice as long as the server asked, else with backoff but only until the link is open again. While the link has
 * lost its connection it makes no attempts.
 *
 * @throws {WeirError} the first error that is not retryable, or why the link closed.
 */
export async function retryCall<T>(
  link: Link,
  attempt: () => Promise<T>,
  { signal, random = Math.random }: RetryCallOptions = {},
): Promise<T> {
  for (let failures = 0;;) {
    signal?.throwIfAborted();
    const state = link.state.value;
    if (state.status === "closed") throw state.error ?? closedError();
    if (!canCall(state)) {
      await waitForLink(link, signal);
      continue;
    }
    try {
      return await attempt();
    } catch (cause) {
      if (!isRetryable(cause)) throw cause;
      const { retryAfter } = cause;
      // Random, since clients that were refused together must not retry together.
      const delayMs = retryAfter === undefined
        ? retryDelayMs(failures++, random)
        : retryAfter * (1 + random());
      await waitForLink(link, signal, delayMs, retryAfter === undefined);
    }
  }
}

/**
 * Resolves after `delayMs`, when the link closes, when `signal` aborts, and, if `endsWhenOpen`,
 * when the link can be called.
 */
async function waitForLink(
  link: Link,
  signal: AbortSignal | undefined,
  delayMs = MAX_TIMER_MS,
  endsWhenOpen = true,
): Promise<void> {
  const over = new AbortController();
  const end = () => over.abort();
  const unsubscribe = link.state.onChange((state) => {
    if (state.status === "closed" || (endsWhenOpen && canCall(state))) end();
  });
  const removeListener = onAbort(signal, end);
  if (link.state.value.status === "closed") end();
  await pause(delayMs, over);
  unsubscribe();
  removeListener();
}
