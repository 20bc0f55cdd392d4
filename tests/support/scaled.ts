import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";

export interface Scaled {
  readonly platform: Platform;
  /** Milliseconds of the platform's own time since it began. */
  readonly elapsed: () => number;
}

/**
 * This machine with a clock that runs `factor` times as fast, timers too: an hour of a client's
 * life in seconds. What is random is in the middle.
 */
export function scaled(factor: number): Scaled {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) * factor;
  const began = Date.now();
  return {
    elapsed,
    platform: {
      ...PLATFORM,
      now: () => began + elapsed(),
      random: () => 0.5,
      setTimeout: (callback, milliseconds) => PLATFORM.setTimeout(callback, milliseconds / factor),
    },
  };
}
