import { delay } from "../core/delay.ts";
import type { Platform } from "../core/platform.ts";
import type { Attempt } from "./attempt.ts";

/** A better transport is tried after so long, twice as long each time it fails, and at the most. In ms. */
const PROBE_MS = 30_000;
const MAX_PROBE_MS = 300_000;
/** The same where the server had been away, so that its failing says nothing. In ms. */
const FIRST_PROBE_MS = 2_000;

/**
 * A session of a better transport than that of `current`, tried now and then beside it; undefined
 * where that has ended before.
 *
 * @param open the session of a place in the list of transports, once it is open or has ended.
 * @param wasAway the server was, when they were tried last.
 */
export async function openBetterTransport(
  platform: Platform,
  current: Attempt,
  open: (index: number) => Promise<Attempt>,
  wasAway: boolean,
): Promise<Attempt | undefined> {
  const { index, signal } = current;
  for (let delayMs = wasAway ? FIRST_PROBE_MS : PROBE_MS;;) {
    await delay(platform, delayMs, signal);
    for (let i = 0; i < index && !signal.aborted; i++) {
      const session = await open(i);
      if (!session.signal.aborted) return session;
    }
    if (signal.aborted) return;
    delayMs = Math.min(Math.max(PROBE_MS, 2 * delayMs), MAX_PROBE_MS);
  }
}
