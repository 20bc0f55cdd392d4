import { QUEUE_BYTES } from "./room.ts";
import type { LargeWrites } from "./large_writes.ts";

/**
 * Bytes that may stay unread in all sockets of an isolate together. Guards against many clients of
 * which each leaves as much unread as a single one may.
 */
export const MAX_UNREAD_BYTES = 128 * 2 ** 20;
/** Milliseconds between two looks at the sockets that have something unread. */
const LOOK_INTERVAL_MS = 5_000;

/**
 * Looks, while others wait for room for a large event, until a socket with an unread one is ended.
 * Guards against clients that take all memory for large events and read none.
 */
const MAX_HELD_LOOKS = 4;

/** What one socket has to send. */
export interface UnreadOutput {
  /**
   * Returns the bytes that were unread at the last call too, and answers that are held back; and
   * undefined if nothing is unread, so that it need not be watched.
   */
  takeStaleBytes(): number | undefined;
  /** Ends the socket, whose client reads too slowly. */
  endSlow(): void;
}

/**
 * Bounds what the clients of an isolate leave unread. Only what a client has not read between two
 * looks counts, so one that reads a large event, or reads all the time, is safe.
 */
export class UnreadBudget implements Disposable {
  readonly #maxBytes: number;
  readonly #largeWrites: Pick<LargeWrites, "takeRefused">;
  readonly #watched = new Set<UnreadOutput>();
  /** The looks at which a socket kept others waiting for room for a large event. */
  #held = new WeakMap<UnreadOutput, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param maxBytes that may stay unread @default 128 MiB */
  constructor(
    largeWrites: Pick<LargeWrites, "takeRefused">,
    maxBytes: number = MAX_UNREAD_BYTES,
  ) {
    this.#largeWrites = largeWrites;
    this.#maxBytes = maxBytes;
  }

  /** Watches `output` until it has nothing unread. */
  watch(output: UnreadOutput): void {
    this.#watched.add(output);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.look();
    }, LOOK_INTERVAL_MS);
  }

  forget(output: UnreadOutput): void {
    this.#watched.delete(output);
    if (this.#watched.size === 0) this[Symbol.dispose]();
  }

  /**
   * Ends the sockets with the most unread bytes until the others are within the budget, and those
   * that have not read a large event while others waited for room for theirs.
   */
  look(): void {
    const othersWait = this.#largeWrites.takeRefused();
    let total = 0;
    const unread: [output: UnreadOutput, bytes: number][] = [];
    for (const output of [...this.#watched]) {
      const bytes = output.takeStaleBytes();
      if (bytes === undefined) {
        this.#watched.delete(output);
        this.#held.delete(output);
        continue;
      }
      if (othersWait && bytes > QUEUE_BYTES && this.#holdsTooLong(output)) {
        output.endSlow();
        continue;
      }
      total += bytes;
      unread.push([output, bytes]);
    }
    if (total > this.#maxBytes) {
      unread.sort(([, a], [, b]) => b - a);
      for (const [output, bytes] of unread) {
        if (total <= this.#maxBytes) break;
        total -= bytes;
        output.endSlow();
      }
    }
    const [first] = this.#watched;
    if (first !== undefined) this.watch(first);
  }

  /** Counts a look at which `output` kept others waiting. */
  #holdsTooLong(output: UnreadOutput): boolean {
    const looks = (this.#held.get(output) ?? 0) + 1;
    this.#held.set(output, looks);
    return looks >= MAX_HELD_LOOKS;
  }

  /** Stops looking. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
