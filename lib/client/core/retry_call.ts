import type { ConnectionState } from "./state.ts";
import { fullJitter } from "./backoff.ts";
import type { Link } from "./link.ts";
import { onAbort } from "./on_abort.ts";
import { closedError } from "./errors.ts";
import { WeirError } from "./weir_error.ts";

const PASSING =
  /^(unreachable|commit_unknown|contended|overloaded|shutting_down|keys_unavailable|storage_\w+|rate_limited|too_many_connections|body_incomplete|auth_failed)$/;

/** Whether the same call, made again later, may go well. */
export function isRetryable(cause: unknown): cause is WeirError {
  if (!(cause instanceof WeirError)) return false;
  const { code, status = 500 } = cause;
  // What has no status looked like an answer of Weir's: that of a captive portal, for a while.
  const least = code === "bad_answer" ? 500 : 502;
  // 408 and 429 are Weir's; 502 and what follows are also what proxies answer in its place.
  return PASSING.test(code) || status === 408 || status === 429 || status >= least;
}

/** Whether a call may go well now: there is a connection, or none was needed so far. */
export function canCall({ status }: ConnectionState): boolean {
  return status === "open" || status === "idle";
}

/**
 * What `attempt` answers, tried again where it fails for now: when the server says, else after a
 * while that grows, or at once when the link is open again. While there is no connection it waits.
 *
 * @throws {WeirError} what is refused for good, and `closed`
 */
export async function retryCall<T>(
  link: Link,
  attempt: () => Promise<T>,
  { signal, random }: { readonly signal?: AbortSignal; readonly random?: () => number } = {},
): Promise<T> {
  for (let failures = 0;;) {
    signal?.throwIfAborted();
    const state = link.state.value;
    if (state.status === "closed") throw state.error ?? closedError();
    if (!canCall(state)) {
      await change(link, signal);
      continue;
    }
    try {
      return await attempt();
    } catch (cause) {
      if (!isRetryable(cause)) throw cause;
      const { retryAfter } = cause;
      const wait = retryAfter ?? fullJitter(failures++, random);
      await change(link, signal, wait, retryAfter === undefined);
    }
  }
}

/** Until the link is callable or closed, or so many milliseconds are over, or `signal` aborts. */
function change(
  link: Link,
  signal: AbortSignal | undefined,
  milliseconds?: number,
  isUrgent = true,
): Promise<void> {
  return new Promise((resolve) => {
    const unwatch = link.state.subscribe((state) => {
      if (state.status === "closed" || (isUrgent && canCall(state))) end();
    });
    const timer = milliseconds === undefined ? undefined : setTimeout(() => end(), milliseconds);
    const end = () => {
      clearTimeout(timer);
      unwatch();
      forget();
      resolve();
    };
    let forget = () => {};
    forget = onAbort(signal, end);
    if (link.state.value.status === "closed") end();
  });
}
