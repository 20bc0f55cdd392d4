import { setImmediate } from "node:timers";

/**
 * Characters that are scanned or parsed in one turn of the event loop. Guards against a body that
 * everyone else waits for. A longer event is parsed in one turn, but has a limit itself.
 */
export const TURN_CHARS = 65_536;

const waiting: (() => void)[] = [];

/**
 * Resolves in a later turn of the event loop. Only one caller continues in a turn, in the order of
 * the calls, so several large texts are worked on alternately.
 */
export function largeTextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(continueNext);
  });
}

function continueNext(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(continueNext);
}
