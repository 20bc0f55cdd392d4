const LINE_END = 0x0a;
/** Bytes of a buffer that is kept for the next line. */
const KEPT_BYTES = 4_096;

/** A line has more bytes than it may. */
export class LineTooLarge extends Error {
  constructor(readonly maxBytes: number) {
    super(`A line has more than ${maxBytes} bytes`);
  }
}

/** Splits bytes that come in parts into lines, which end with a line feed. */
export class LineSplitter {
  /** What has come of a line that has not ended. One buffer, since parts may have a byte each. */
  #buffer = new Uint8Array();
  #waitingBytes = 0;

  /** The bytes of a line that has not ended. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /**
   * Yields the lines that end in `chunk`, without their ends. A line is valid until the next one is
   * asked for. Keeps no reference to the chunk. All lines must be taken.
   *
   * @throws {LineTooLarge} if a line has more than `maxBytes`, even if it has not ended
   */
  *push(chunk: Uint8Array, maxBytes: number): Iterable<Uint8Array> {
    let start = 0;
    for (let end; (end = chunk.indexOf(LINE_END, start)) !== -1; start = end + 1) {
      const part = chunk.subarray(start, end);
      if (this.#waitingBytes === 0 && part.length <= maxBytes) {
        yield part;
        continue;
      }
      this.#keep(part, maxBytes);
      yield this.end();
    }
    this.#keep(chunk.subarray(start), maxBytes);
  }

  /** Returns what follows the last line feed, as a line. */
  end(): Uint8Array {
    const line = this.#buffer.subarray(0, this.#waitingBytes);
    this.#waitingBytes = 0;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = new Uint8Array();
    return line;
  }

  #keep(bytes: Uint8Array, maxBytes: number): void {
    const length = this.#waitingBytes + bytes.length;
    if (length > maxBytes) throw new LineTooLarge(maxBytes);
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#buffer.length));
      grown.set(this.#buffer.subarray(0, this.#waitingBytes));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#waitingBytes);
    this.#waitingBytes = length;
  }
}
