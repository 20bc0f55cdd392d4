import { concat } from "../../shared/bytes.ts";
import { badAnswerError } from "../core/errors.ts";

const LINE_END = 0x0a;
/**
 * Bytes of one line: more than the largest event takes, escaped. Guards against a server whose lines
 * do not end.
 */
const MAX_LINE_BYTES = 16 * 1024 ** 2;

/** Cuts bytes that arrive in pieces into lines of text. */
export class LineSplitter {
  /** The beginning of a line that has not ended. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;

  /**
   * Returns the lines that end in `chunk`, as one text without its last line feed. Undefined if none
   * does.
   *
   * @throws {WeirError} `bad_answer` if a line is too long.
   * @throws {TypeError} if a line is not UTF-8.
   */
  push(chunk: Uint8Array): string | undefined {
    const end = chunk.lastIndexOf(LINE_END);
    if (this.#pieceBytes + (end < 0 ? chunk.length : 0) > MAX_LINE_BYTES) {
      throw badAnswerError("A line is too long.");
    }
    if (end < 0) return this.#keep(chunk);
    const bytes = concat([...this.#pieces, chunk.subarray(0, end)]);
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#keep(chunk.subarray(end + 1));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  }

  #keep(piece: Uint8Array): undefined {
    if (piece.length > 0) this.#pieces.push(piece);
    this.#pieceBytes += piece.length;
  }
}
