import { pause } from "../../shared/async/delay.ts";
import { onAbort } from "../core/on_abort.ts";
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

/** How often a new connection is asked whether it reads everything, and how long it may take. */
const START_CHECK_MS = 10;
const MAX_START_MS = 10_000;

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
 * Resolves with the first attempt that reads everything. If `current` ends before, resolves with one
 * that is open, or with undefined. If no other server takes the connection, `current` ends with the
 * goodbye.
 */
export function openReplacement(options: ReplacementOptions): Promise<Attempt | undefined> {
  const { current, platform } = options;
  return new Promise((resolve) => {
    /** The last one that is open, and reads or begins to. */
    let opened: Attempt | undefined;
    let replacement: Attempt | undefined;
    const replaceBy = (attempt: Attempt) => {
      replacement = attempt;
      resolve(attempt);
    };
    /** Whether no replacement is needed any more. */
    const isOver = () => replacement !== undefined || current.signal.aborted;
    const offer: Offer = async (attempt) => {
      if (attempt.signal.aborted) return false;
      opened = attempt;
      await startReading(attempt, platform, isOver);
      if (replacement === attempt) return true;
      if (attempt.signal.aborted) return false;
      if (isOver()) attempt.close();
      else replaceBy(attempt);
      return true;
    };
    onAbort(current.signal, () => resolve(undefined));
    let goodbye: WeirError | undefined;
    const end = (error: WeirError) => {
      current.onDown = undefined;
      current.down(error, true);
    };
    current.onDown = (error, isGoodbye) => {
      if (replacement !== undefined) return false;
      const isMove = isGoodbye && error.code === "shutting_down";
      if (isMove && goodbye === undefined) {
        goodbye = error;
        void move(options, offer).then((isMoved) => isMoved || end(error));
      } else if (!isMove) {
        // It has ended before the other one reads everything, or the client closes all of them.
        if (error.code !== "closed" && opened?.signal.aborted === false) replaceBy(opened);
        else if (goodbye !== undefined) end(goodbye);
        else return false;
      }
      return true;
    };
    if (current.index > 0) void upgrade(options, offer);
  });
}

/**
 * Offers an open attempt as the replacement. Resolves once it has replaced the current one, or is not
 * needed any more; with false if it has ended.
 */
type Offer = (attempt: Attempt) => Promise<boolean>;

/**
 * Lets an open attempt read too. Resolves once it reads everything, so that no event waits for the
 * change; once it has ended, which it does if that takes too long; or once `isOver()`.
 */
async function startReading(
  attempt: Attempt,
  platform: Platform,
  isOver: () => boolean,
): Promise<void> {
  const { signal, transport } = attempt;
  const end = platform.now() + MAX_START_MS;
  while (!signal.aborted && !isOver() && !transport?.update()) {
    if (platform.now() >= end) attempt.close();
    await pause(START_CHECK_MS, { signal, timers: platform });
  }
}

/** Connects to another server. Returns whether one took the connection. */
async function move(
  { platform, current: { index, signal }, open }: ReplacementOptions,
  offer: Offer,
): Promise<boolean> {
  for (let tries = 0; tries < MAX_MOVES && !signal.aborted; tries++) {
    const delayMs = MOVE_DELAY_MS * (1 + platform.random());
    if (tries > 0) await pause(delayMs, { signal, timers: platform });
    const attempt = await open(index);
    if (await offer(attempt)) return true;
  }
  return false;
}

/** Tries better transports from time to time. */
async function upgrade(
  { platform, current: { index, signal }, open, wasAway }: ReplacementOptions,
  offer: Offer,
): Promise<void> {
  for (let delayMs = wasAway ? FIRST_PROBE_INTERVAL_MS : PROBE_INTERVAL_MS;;) {
    await pause(delayMs, { signal, timers: platform });
    for (let i = 0; i < index && !signal.aborted; i++) {
      const attempt = await open(i);
      if (await offer(attempt)) return;
    }
    if (signal.aborted) return;
    delayMs = Math.min(Math.max(PROBE_INTERVAL_MS, 2 * delayMs), MAX_PROBE_INTERVAL_MS);
  }
}
