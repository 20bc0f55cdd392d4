import { QUEUE_BYTES } from "./room.ts";

/**
 * Bytes of large events that wait in all sockets of an isolate together; the runtime takes twice as
 * much. Guards against one event that is queued for thousands of subscribers at once.
 */
const MAX_LARGE_BYTES = 128 * 2 ** 20;

/** Bounds what large events take: those for which a connection has room only alone. */
export class LargeWrites {
  readonly #maxBytes: number;
  readonly #bytesOf = new Map<object, number>();
  #bytes = 0;
  #wasRefused = false;

  /** @param maxBytes @default 128 MiB */
  constructor(maxBytes: number = MAX_LARGE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Requests room for a write of `bytes`, and returns whether it may begin. One larger than all room
   * may if it is alone. {@link takeRefused} tells of refusals.
   */
  requestRoom(bytes: number): boolean {
    if (bytes <= QUEUE_BYTES || this.#bytes === 0) return true;
    const fits = this.#bytes + bytes <= this.#maxBytes;
    if (!fits) this.#wasRefused = true;
    return fits;
  }

  /** Counts a large write of `output` until {@link end}. */
  begin(output: object, bytes: number): void {
    this.end(output);
    this.#bytesOf.set(output, bytes);
    this.#bytes += bytes;
  }

  /** Ends the count of the output's write, if it has one. */
  end(output: object): void {
    this.#bytes -= this.#bytesOf.get(output) ?? 0;
    this.#bytesOf.delete(output);
  }

  /** Returns whether a request for room was refused since the last call. */
  takeRefused(): boolean {
    const wasRefused = this.#wasRefused;
    this.#wasRefused = false;
    return wasRefused;
  }
}
