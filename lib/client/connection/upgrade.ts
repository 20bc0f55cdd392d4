import { pause } from "../../shared/async/delay.ts";
import type { Platform } from "../core/platform.ts";
import type { Attempt } from "./attempt.ts";

/** Wait before a better transport is tried. It doubles with each failure. */
const PROBE_INTERVAL_MS = 30_000;
const MAX_PROBE_INTERVAL_MS = 300_000;
/** First wait if the server was away, so that the earlier failure says nothing. */
const FIRST_PROBE_INTERVAL_MS = 2_000;

interface UpgradeOptions {
  readonly platform: Platform;
  /** The attempt whose transport is in use. */
  readonly current: Attempt;
  /** Opens a transport by its index. Resolves once the attempt is open or has ended. */
  readonly open: (index: number) => Promise<Attempt>;
  /** Whether the server was away when better transports failed. */
  readonly wasAway: boolean;
}

/**
 * Tries better transports than that of `current` from time to time, while it stays in use. Resolves
 * with the first open attempt, or with undefined if `current` ended before.
 */
export async function openBetterTransport(
  { platform, current: { index, signal }, open, wasAway }: UpgradeOptions,
): Promise<Attempt | undefined> {
  for (let delayMs = wasAway ? FIRST_PROBE_INTERVAL_MS : PROBE_INTERVAL_MS;;) {
    await pause(delayMs, { signal, timers: platform });
    for (let i = 0; i < index && !signal.aborted; i++) {
      const attempt = await open(i);
      if (!attempt.signal.aborted) return attempt;
    }
    if (signal.aborted) return;
    delayMs = Math.min(Math.max(PROBE_INTERVAL_MS, 2 * delayMs), MAX_PROBE_INTERVAL_MS);
  }
}
