import { PLATFORM, type Platform } from "../../lib/client/core/platform.ts";

export interface ImpatientOptions {
  /** The most that any wait takes, in ms. */
  readonly limit: number;
  /** 0 ≤ random < 1. @default {Math.random} */
  readonly random?: () => number;
  /** Added to what the clock says, in ms. */
  readonly clockError?: number;
}

/** This machine, but for waits, which end early: what takes minutes by the clock is seen in seconds. */
export function impatient({ limit, random, clockError = 0 }: ImpatientOptions): Platform {
  return {
    ...PLATFORM,
    now: () => PLATFORM.now() + clockError,
    random: random ?? PLATFORM.random,
    setTimeout: (callback, milliseconds) =>
      PLATFORM.setTimeout(callback, Math.min(milliseconds, limit)),
  };
}
