const LINE_FEED = 0x0a;
const MIN_BUFFER_BYTES = 1_024;

interface LineSplitterOptions {
  /** The longest line. */
  readonly maxBytes: number;
  /** Returns what is thrown for a longer one. */
  readonly tooLong: () => Error;
  /** Called before the buffer for a line that comes in parts grows. What it throws is thrown. */
  readonly onGrow: (bytes: number) => void;
}

/** Splits bytes that come in parts into lines, which are given without their line feeds. */
export class LineSplitter {
  readonly #options: LineSplitterOptions;
  /** The start of a line that has not ended yet. One buffer, since its parts may be tiny. */
  #buffer = new Uint8Array();
  #filled = 0;

  constructor(options: LineSplitterOptions) {
    this.#options = options;
  }

  /** Yields the lines that end in `chunk`. They are valid until the next call. */
  *add(chunk: Uint8Array): Iterable<Uint8Array> {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      const part = chunk.subarray(start, end);
      start = end + 1;
      if (this.#filled === 0 && part.length <= this.#options.maxBytes) {
        yield part;
      } else {
        this.#keep(part);
        yield this.end();
      }
    }
    this.#keep(chunk.subarray(start));
  }

  /** Returns what follows the last line feed. */
  end(): Uint8Array {
    const line = this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
    return line;
  }

  #keep(part: Uint8Array): void {
    const { maxBytes, tooLong, onGrow } = this.#options;
    const bytes = this.#filled + part.length;
    if (bytes > maxBytes) throw tooLong();
    if (bytes > this.#buffer.length) {
      const length = Math.max(MIN_BUFFER_BYTES, 2 * this.#buffer.length, bytes);
      onGrow(length - this.#buffer.length);
      const buffer = new Uint8Array(length);
      buffer.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = buffer;
    }
    this.#buffer.set(part, this.#filled);
    this.#filled = bytes;
  }
}
