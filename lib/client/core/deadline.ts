import { onAbort } from "./on_abort.ts";
import type { Platform } from "./platform.ts";

const LATE = "TimeoutError";

/** What a wait is ended with that took too long. */
export function timeoutError(milliseconds: number): DOMException {
  return new DOMException(`No answer within ${milliseconds} ms.`, LATE);
}

/** Whether it is a {@link timeoutError}, or another's: of `AbortSignal.timeout()`. */
export function isTimeout(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === LATE;
}

/**
 * What `work` gives, while there is time and `signal` does not abort.
 *
 * @throws {DOMException} a {@link timeoutError}; and why `signal` aborted.
 */
export async function deadline<T>(
  platform: Platform,
  milliseconds: number,
  work: Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  let timer: unknown;
  let forget = () => {};
  const cut = new Promise<never>((_, reject) => {
    timer = platform.setTimeout(() => reject(timeoutError(milliseconds)), milliseconds);
    forget = onAbort(signal, () => reject(signal?.reason));
  });
  try {
    return await Promise.race([work, cut]);
  } finally {
    platform.clearTimeout(timer);
    forget();
  }
}
