import { decodeUtf8 } from "../../publish/json.ts";

const LINE_END = 0x0a;
/** Bytes of a buffer that is kept for the next line. */
const KEPT_BYTES = 4_096;

/** A line has more bytes than it may. */
export class LineTooLarge extends Error {
  constructor(readonly maxBytes: number) {
    super(`A line has more than ${maxBytes} bytes`);
  }
}

/** Splits a stream of bytes into lines of text, which end with a line feed. */
export class LineSplitter {
  /** What has come of a line that has not ended. One buffer, since chunks may have a byte each. */
  #buffer = new Uint8Array();
  #waitingBytes = 0;

  /** The bytes of a line that has not ended. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /**
   * Returns the lines that end in `chunk`, without their ends. One that is not UTF-8 is undefined.
   * Keeps no reference to the chunk.
   *
   * @throws {LineTooLarge} if a line has more than `maxBytes`, even if it has not ended
   */
  push(chunk: Uint8Array, maxBytes: number): readonly (string | undefined)[] {
    const lines: (string | undefined)[] = [];
    let start = 0;
    for (let end; (end = chunk.indexOf(LINE_END, start)) !== -1; start = end + 1) {
      lines.push(decode(this.#complete(chunk.subarray(start, end), maxBytes)));
    }
    this.#keep(chunk.subarray(start), maxBytes);
    return lines;
  }

  /** Returns the line that ends with `last`. */
  #complete(last: Uint8Array, maxBytes: number): Uint8Array {
    if (this.#waitingBytes === 0 && last.length <= maxBytes) return last;
    this.#keep(last, maxBytes);
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

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decodeUtf8(bytes);
  } catch {
    return undefined;
  }
}
