import { LineSplitter, LineTooLarge } from "../shared/line_splitter.ts";

/** A line of the input that is not blank. */
export interface InputLine {
  /** From 1. */
  readonly number: number;
  /** Undefined if the line is too long, or not UTF-8. */
  readonly text: string | undefined;
  readonly fault: "too long" | "not UTF-8" | undefined;
  /** Bytes of the input up to the end of the line. */
  readonly endBytes: number;
}

/**
 * Yields the lines of `chunks` that are not blank. Ends once `stop` aborts. Its memory is bounded:
 * of a line that is longer than `maxBytes` it keeps nothing.
 *
 * @throws what `chunks` throws
 */
export async function* readLines(
  chunks: ReadableStream<Uint8Array>,
  { maxBytes, stop }: { readonly maxBytes: number; readonly stop: AbortSignal },
): AsyncGenerator<InputLine, void, undefined> {
  const lines = new LongLineSplitter(maxBytes);
  const reader = chunks.getReader();
  // A read that waits ends at once. A race with a promise would keep every chunk in memory.
  const cancel = () => void reader.cancel().catch(() => {});
  stop.addEventListener("abort", cancel);
  try {
    while (!stop.aborted) {
      const { value, done } = await reader.read();
      if (stop.aborted) return;
      for (const line of done ? lines.end() : lines.push(value)) {
        yield line;
        if (stop.aborted) return;
      }
      if (done) return;
    }
  } finally {
    // A terminal may have no input for long, and then does not end its stream.
    stop.removeEventListener("abort", cancel);
    cancel();
  }
}

/** Splits bytes into numbered lines, and skips what is too long. */
class LongLineSplitter {
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #splitter = new LineSplitter();
  /** Whether the beginning of the current line was skipped, as the line is too long. */
  #isTooLong = false;
  #number = 1;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  *push(chunk: Uint8Array): Iterable<InputLine> {
    let rest = chunk;
    while (rest.length > 0) {
      // Line by line, so that one that is too long ends nothing but itself.
      const end = rest.indexOf(0x0a) + 1;
      const part = end === 0 ? rest : rest.subarray(0, end);
      rest = rest.subarray(part.length);
      this.#bytes += part.length;
      if (!this.#isTooLong) {
        try {
          for (const line of this.#splitter.push(part, this.#maxBytes)) yield* this.#line(line);
          continue;
        } catch (cause) {
          if (!(cause instanceof LineTooLarge)) throw cause;
          this.#isTooLong = true;
          this.#splitter = new LineSplitter();
        }
      }
      if (end > 0) yield* this.#line(undefined);
    }
  }

  *end(): Iterable<InputLine> {
    yield* this.#line(this.#isTooLong ? undefined : this.#splitter.end());
  }

  *#line(bytes: Uint8Array | undefined): Iterable<InputLine> {
    const place = { number: this.#number++, endBytes: this.#bytes };
    this.#isTooLong = false;
    if (bytes === undefined) {
      yield { ...place, text: undefined, fault: "too long" };
      return;
    }
    let text: string;
    try {
      text = this.#decoder.decode(bytes);
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause;
      yield { ...place, text: undefined, fault: "not UTF-8" };
      return;
    }
    if (text.trim() !== "") yield { ...place, text, fault: undefined };
  }
}
