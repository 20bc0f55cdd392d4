import { setImmediate } from "node:timers";

/**
 * Bytes that may wait for one connection: two pieces of a run, so that one waits while the other is
 * sent. Guards against readers that are too slow, for whom the log is the buffer.
 */
export const QUEUE_BYTES = 256 * 1024;

/** A queue with fewer bytes counts as empty: an opening or heartbeats delay no large event. */
const EMPTY_BYTES = 2_048;

/** Powers of 8 from here on are the values of {@link eventBytesWith}. */
const MIN_EVENT_BYTES = 64;

/**
 * Shares the room of one connection among its sinks. They get it in the order in which they asked, so
 * that small writes can't keep a large one waiting. Those for which there is no room yet are not
 * woken, so that the work for a write does not grow with the number of sinks.
 */
export class Room {
  readonly #queued: () => number;
  readonly #mayBeLarge: (bytes: number) => boolean;
  readonly #emptyBytes: number;
  #waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];
  /** Bytes for which waits were ended in this turn of the event loop. */
  #wokenBytes = 0;
  #isLookPlanned = false;

  /**
   * @param queued returns how many bytes wait for the connection.
   * @param mayBeLarge returns whether a write that fits only alone may begin. @default always
   * @param emptyBytes a queue with fewer bytes counts as empty. @default 2,048
   */
  constructor(
    queued: () => number,
    mayBeLarge: (bytes: number) => boolean = () => true,
    emptyBytes: number = EMPTY_BYTES,
  ) {
    this.#queued = queued;
    this.#mayBeLarge = mayBeLarge;
    this.#emptyBytes = emptyBytes;
  }

  /**
   * Returns whether `bytes` fit or the queue is empty.
   *
   * @param hasWaited whether a {@link wait} for them has ended. Otherwise nobody may be waiting.
   */
  has(bytes: number, hasWaited: boolean): boolean {
    return (hasWaited || this.#waiting.length === 0) && this.#fits(bytes, this.#queued());
  }

  get isAwaited(): boolean {
    return this.#waiting.length > 0;
  }

  /** Returns whether the first that waits has room now. */
  get isDue(): boolean {
    const [first] = this.#waiting;
    return first !== undefined && this.#fits(first.bytes, this.#queued() + this.#wokenBytes);
  }

  /** Resolves when there is room for `bytes`, in the order of the calls. */
  wait(bytes: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ bytes, resolve }));
  }

  /** Ends the waits that have room now. What they don't use is for those after them. */
  wake(): void {
    const queued = this.#queued();
    let woken = 0;
    for (const { bytes } of this.#waiting) {
      if (!this.#fits(bytes, queued + this.#wokenBytes)) break;
      this.#wokenBytes += bytes;
      woken++;
    }
    for (const { resolve } of this.#waiting.splice(0, woken)) resolve();
    if (this.#waiting.length === 0) this.#wokenBytes = 0;
    else if (woken > 0) this.#lookAgain();
  }

  /** Ends all waits, since the connection has ended. */
  wakeAll(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** Looks in the next turn of the event loop whether there is room that was not used. */
  #lookAgain(): void {
    if (this.#isLookPlanned) return;
    this.#isLookPlanned = true;
    setImmediate(() => {
      this.#isLookPlanned = false;
      this.#wokenBytes = 0;
      this.wake();
    });
  }

  #fits(bytes: number, queued: number): boolean {
    if (queued + bytes <= QUEUE_BYTES) return true;
    return queued < this.#emptyBytes && this.#mayBeLarge(bytes);
  }
}

/**
 * Returns {@link import("../hub/sink.ts").Sink.eventBytes} for events that have `cursor` each, or a
 * longer one.
 */
export function eventBytesWith(cursor: string): number {
  let bytes = MIN_EVENT_BYTES;
  while (bytes < cursor.length) bytes *= 8;
  return bytes;
}
