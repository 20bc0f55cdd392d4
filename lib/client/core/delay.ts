import { onAbort } from "./on_abort.ts";
import type { Platform } from "./platform.ts";

/** Resolves after so many milliseconds, or when `signal` aborts. */
export function delay(
  platform: Platform,
  milliseconds: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = platform.setTimeout(() => end(), milliseconds);
    let forget = () => {};
    const end = () => {
      platform.clearTimeout(timer);
      forget();
      resolve();
    };
    forget = onAbort(signal, end);
  });
}
