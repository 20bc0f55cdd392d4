import { onAbort } from "./on_abort.ts";
import type { Platform } from "./platform.ts";

const TIMEOUT = "TimeoutError";

export function timeoutError(timeoutMs: number): DOMException {
  return new DOMException(`No answer within ${timeoutMs} ms.`, TIMEOUT);
}

/** Whether `cause` is a {@link timeoutError} or comes from `AbortSignal.timeout()`. */
export function isTimeout(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === TIMEOUT;
}

/**
 * Settles as `work` does, unless the time is over or `signal` aborts before.
 *
 * @throws {DOMException} a {@link timeoutError}, or the reason of `signal`.
 */
export async function deadline<T>(
  platform: Platform,
  timeoutMs: number,
  work: Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  let timer: unknown;
  let removeListener = () => {};
  const cut = new Promise<never>((_, reject) => {
    timer = platform.setTimeout(() => reject(timeoutError(timeoutMs)), timeoutMs);
    removeListener = onAbort(signal, () => reject(signal?.reason));
  });
  try {
    return await Promise.race([work, cut]);
  } finally {
    platform.clearTimeout(timer);
    removeListener();
  }
}
