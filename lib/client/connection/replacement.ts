import { pause } from "../../shared/async/delay.ts";
import type { Platform } from "../core/platform.ts";
import type { WeirError } from "../core/weir_error.ts";
import type { Attempt } from "./attempt.ts";

/** Wait before a better transport is tried. It doubles with each failure. */
const PROBE_INTERVAL_MS = 30_000;
const MAX_PROBE_INTERVAL_MS = 300_000;
/** First wait if the server was away, so that the earlier failure says nothing. */
const FIRST_PROBE_INTERVAL_MS = 2_000;

/**
 * How often another server is tried while the current one still works, and the least pause between.
 * A proxy may need a moment to notice that a server stops. Guards against many clients of a server
 * that is the only one: they then wait as its goodbye says.
 */
const MAX_MOVES = 3;
const MOVE_DELAY_MS = 300;

interface ReplacementOptions {
  readonly platform: Platform;
  /** The attempt whose transport is in use. */
  readonly current: Attempt;
  /** Opens a transport by its index. Resolves once the attempt is open or has ended. */
  readonly open: (index: number) => Promise<Attempt>;
  /** Whether the server was away when better transports failed. */
  readonly wasAway: boolean;
}

/**
 * Opens what replaces `current` while that is in use: a better transport, tried from time to time,
 * or the same one to another server once the server says that it stops or rotates the connection.
 * Resolves with the first open attempt, or with undefined if `current` ended before. If no other
 * server takes the connection, `current` ends with the goodbye.
 */
export function openReplacement(options: ReplacementOptions): Promise<Attempt | undefined> {
  const { current } = options;
  return new Promise((resolve) => {
    let isReplaced = false;
    const offer = (attempt: Attempt) => {
      if (isReplaced || current.signal.aborted) return attempt.close();
      isReplaced = true;
      resolve(attempt);
    };
    current.signal.addEventListener("abort", () => resolve(undefined));
    let goodbye: WeirError | undefined;
    const end = (error: WeirError) => {
      current.onDown = undefined;
      current.down(error, true);
    };
    current.onDown = (error, isGoodbye) => {
      const isMove = isGoodbye && error.code === "shutting_down";
      if (goodbye === undefined) {
        if (!isMove) return false;
        goodbye = error;
        void move(options, offer).then((isMoved) => isMoved || end(error));
      } else if (!isMove) end(goodbye); // the server has closed it, or the client
      return true;
    };
    if (current.index > 0) void upgrade(options, offer);
  });
}

/** Connects to another server. Returns whether one took the connection. */
async function move(
  { platform, current: { index, signal }, open }: ReplacementOptions,
  offer: (attempt: Attempt) => void,
): Promise<boolean> {
  for (let tries = 0; tries < MAX_MOVES && !signal.aborted; tries++) {
    const delayMs = MOVE_DELAY_MS * (1 + platform.random());
    if (tries > 0) await pause(delayMs, { signal, timers: platform });
    const attempt = await open(index);
    if (attempt.signal.aborted) continue;
    offer(attempt);
    return true;
  }
  return false;
}

/** Tries better transports from time to time. */
async function upgrade(
  { platform, current: { index, signal }, open, wasAway }: ReplacementOptions,
  offer: (attempt: Attempt) => void,
): Promise<void> {
  for (let delayMs = wasAway ? FIRST_PROBE_INTERVAL_MS : PROBE_INTERVAL_MS;;) {
    await pause(delayMs, { signal, timers: platform });
    for (let i = 0; i < index && !signal.aborted; i++) {
      const attempt = await open(i);
      if (!attempt.signal.aborted) return offer(attempt);
    }
    if (signal.aborted) return;
    delayMs = Math.min(Math.max(PROBE_INTERVAL_MS, 2 * delayMs), MAX_PROBE_INTERVAL_MS);
  }
}
