import { onAbort } from "./on_abort.ts";
import type { Platform } from "./platform.ts";

/** Resolves after `delayMs`, or as soon as `signal` aborts. */
export function delay(platform: Platform, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = platform.setTimeout(() => end(), delayMs);
    let removeListener = () => {};
    const end = () => {
      platform.clearTimeout(timer);
      removeListener();
      resolve();
    };
    removeListener = onAbort(signal, end);
  });
}
