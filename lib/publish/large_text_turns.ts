import { setImmediate } from "node:timers";

/**
 * Characters that are scanned or parsed in one turn of the event loop. Guards against a body that
 * everyone else waits for. A longer event is parsed in one turn, but has a limit itself.
 */
export const TURN_CHARS = 65_536;
/** Parts that take less are followed by the next one in the next turn of the event loop, in ms. */
const SHORT_MS = 5;

interface TurnsOptions {
  /** Milliseconds of a clock that never jumps. @default {performance.now} */
  readonly now?: () => number;
  /** Calls `next` after `ms`. @default {setTimeout} */
  readonly after?: (next: () => void, ms: number) => void;
}

/**
 * Gives turns of the event loop to those who work on large texts. After a long part others have as
 * much time as it took: a request needs several turns, and would wait for a part in each.
 */
export class LargeTextTurns {
  readonly #waiting: (() => void)[] = [];
  readonly #now: () => number;
  readonly #after: (next: () => void, ms: number) => void;
  #isBusy = false;

  constructor({ now = () => performance.now(), after = setTimeout }: TurnsOptions = {}) {
    this.#now = now;
    this.#after = (next, ms) => void after(next, ms);
  }

  /**
   * Resolves in a later turn of the event loop. Only one caller continues in a turn, in the order
   * of the calls, so several large texts are worked on alternately.
   */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#isBusy) return;
      this.#isBusy = true;
      setImmediate(() => this.#continue());
    });
  }

  #continue(): void {
    const resolve = this.#waiting.shift();
    this.#isBusy = resolve !== undefined;
    if (resolve === undefined) return;
    const start = this.#now();
    resolve();
    setImmediate(() => {
      const tookMs = this.#now() - start;
      if (tookMs < SHORT_MS || this.#waiting.length === 0) this.#continue();
      else this.#after(() => this.#continue(), tookMs);
    });
  }
}

const turns = new LargeTextTurns();

/** Resolves in a turn of the event loop that is the caller's, of all of this isolate. */
export function largeTextTurn(): Promise<void> {
  return turns.next();
}
