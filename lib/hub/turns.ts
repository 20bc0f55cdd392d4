import { setImmediate } from "node:timers";

/**
 * Subscribers for each turn of the event loop between two deliveries. While sockets are being
 * written, each turn waits for some of them; then turns take microseconds. So counting turns is a
 * clock that runs as fast as the sockets do. Measured: docs/performance.md.
 */
const SUBSCRIBERS_PER_TURN = 2;

/** Calls `next` once what was delivered to this many subscribers is probably written. */
export function afterWrites(subscribers: number, next: () => void): void {
  afterTurns(Math.ceil(subscribers / SUBSCRIBERS_PER_TURN), next);
}

/** Calls `next` after this many turns of the event loop. */
function afterTurns(turns: number, next: () => void): void {
  if (turns <= 0) next();
  else setImmediate(() => afterTurns(turns - 1, next));
}
