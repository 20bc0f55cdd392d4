import { type DelayOptions, pause } from "./delay.ts";

const TIMEOUT_ERROR = "TimeoutError";

/** Creates the error of a {@link deadline} that has passed. */
export function timeoutError(timeoutMs: number): DOMException {
  return new DOMException(`No result within ${timeoutMs} ms.`, TIMEOUT_ERROR);
}

/** Returns whether `cause` says that time ran out: also that of `AbortSignal.timeout()`. */
export function isTimeoutError(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === TIMEOUT_ERROR;
}

/**
 * Resolves or rejects as `work` does, unless that takes longer than `timeoutMs` or `signal` aborts
 * first. The work itself is not stopped; its later result is ignored.
 *
 * @throws {DOMException} a {@link timeoutError} once `timeoutMs` have passed.
 * @throws the reason of `signal` as soon as it aborts.
 */
export async function deadline<T>(
  work: Promise<T>,
  timeoutMs: number,
  { signal, timers = globalThis }: DelayOptions = {},
): Promise<T> {
  let stop = () => {};
  const cut = new Promise<never>((_, reject) => {
    const timer = timers.setTimeout(() => reject(timeoutError(timeoutMs)), timeoutMs);
    const abort = () => reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    stop = () => {
      timers.clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
  });
  try {
    return await Promise.race([work, cut]);
  } finally {
    stop();
  }
}

/**
 * Resolves once `work` does or `timeoutMs` have passed, whichever comes first. Rejects if `work`
 * rejects before.
 */
export async function waitAtMost(work: Promise<unknown>, timeoutMs: number): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([work, pause(timeoutMs, over)]);
  } finally {
    over.abort();
  }
}
