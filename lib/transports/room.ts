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
 * Shares the room of one connection among its sinks. They get it in the order in which they asked,
 * so that small writes can't keep a large one waiting.
 */
export class Room {
  readonly #queued: () => number;
  readonly #mayBeLarge: (bytes: number) => boolean;
  #waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];

  /**
   * @param queued returns how many bytes wait for the connection.
   * @param mayBeLarge returns whether a write that fits only alone may begin. @default always
   */
  constructor(queued: () => number, mayBeLarge: (bytes: number) => boolean = () => true) {
    this.#queued = queued;
    this.#mayBeLarge = mayBeLarge;
  }

  /** Returns whether `bytes` fit or the queue is empty, and nobody waits for room. */
  has(bytes: number): boolean {
    return this.#waiting.length === 0 && this.#fits(bytes);
  }

  /** Returns whether the first wait has room now. */
  get isDue(): boolean {
    const [first] = this.#waiting;
    return first !== undefined && this.#fits(first.bytes);
  }

  /** Resolves at the next {@link wake}. Those that then find no room wait again, in their order. */
  wait(bytes: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ bytes, resolve }));
  }

  /** Ends all waits. */
  wake(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve } of waiting) resolve();
  }

  #fits(bytes: number): boolean {
    const queued = this.#queued();
    if (queued + bytes <= QUEUE_BYTES) return true;
    return queued < EMPTY_BYTES && this.#mayBeLarge(bytes);
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
