import { setImmediate } from "node:timers";

/**
 * Subscribers of a flush for each turn of the event loop until the next one. Once the sockets are
 * written turns take microseconds; before, each waits for some of them, so that counting turns is
 * a clock which runs as fast as the sockets do. Measured: docs/performance.md.
 */
const SUBSCRIBERS_A_TURN = 2;

/** Calls `next` when what was given to so many subscribers is likely to be written. */
export function afterWrites(subscribers: number, next: () => void): void {
  afterTurns(Math.ceil(subscribers / SUBSCRIBERS_A_TURN), next);
}

/** Calls `next` once the event loop has turned `turns` times. */
function afterTurns(turns: number, next: () => void): void {
  if (turns <= 0) next();
  else setImmediate(() => afterTurns(turns - 1, next));
}
