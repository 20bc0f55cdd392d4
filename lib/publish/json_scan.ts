import { MAX_JSON_DEPTH } from "../shared/json_depth.ts";
import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  isDigit,
  LONG_DIGITS,
  LOWER_U,
  OPEN_ARRAY,
  OPEN_OBJECT,
  positionOf,
  QUOTE,
  SPACE,
  tooDeep,
} from "./json_text.ts";

/** A part of a text. */
export interface TextPart {
  readonly start: number;
  readonly end: number;
  /** The fewest bytes that it takes as JSON without white space, escapes and long numbers. */
  readonly bytes: number;
}

interface JsonScanOptions {
  /** Levels of arrays and objects that are allowed. */
  readonly maxDepth: number;
  /** The level of the array whose elements become parts. @default 0 for one part, the text */
  readonly partDepth?: number;
  /** Called at the end of each part. @default undefined */
  readonly onPart?: (part: TextPart, index: number) => void;
}

/**
 * Finds the structure of JSON without parsing it, in time linear in the text and constant memory,
 * so that a text that is too deep or too large is refused before it costs anything. It accepts some
 * texts that are not JSON.
 */
export class JsonScan {
  readonly #text: string;
  readonly #options: JsonScanOptions;
  readonly #partDepth: number;
  #at = 0;
  #depth = 0;
  /** Whether the last character belongs to a number, `true`, `false` or `null`. */
  #isInWord = false;
  #bytes = 0;
  /** The positions of the next quote and backslash, or of the text's end; they may be passed. */
  #quote = -1;
  #backslash = -1;
  /** Characters of the last string by which its escapes exceed one each. */
  #escaped = 0;
  #start = 0;
  #parts = 0;
  #end = 0;

  constructor(text: string, options: JsonScanOptions) {
    this.#text = text;
    this.#options = options;
    this.#partDepth = options.partDepth ?? 0;
  }

  get isDone(): boolean {
    return this.#at >= this.#text.length;
  }

  /** The fewest bytes that the text since the last part takes as JSON. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The position after the array of the parts; 0 if there is none so far. */
  get partsEnd(): number {
    return this.#end;
  }

  /**
   * Scans at least `chars` further characters, up to the end of a string.
   *
   * @throws {Problem} `bad_json`; errors of `onPart`
   */
  scan(chars: number): void {
    const text = this.#text;
    const partDepth = this.#partDepth;
    const end = Math.min(text.length, this.#at + chars);
    let at = this.#at;
    let bytes = 0;
    let isInWord = this.#isInWord;
    let digits = 0; // in a row
    while (at < end) {
      const char = text.charCodeAt(at++);
      if (!isInWord) digits = 0;
      if (char <= SPACE) {
        isInWord = false;
      } else if (char === QUOTE) {
        const start = at;
        at = this.#endOfString(at);
        bytes += at - start - this.#escaped;
        isInWord = false;
      } else if (char === COMMA) {
        bytes++;
        isInWord = false;
        if (this.#depth === partDepth) {
          this.#bytes += bytes - 1;
          bytes = 0;
          this.#endPart(at);
        }
      } else if (char === OPEN_ARRAY || char === OPEN_OBJECT) {
        bytes++;
        isInWord = false;
        if (++this.#depth > this.#options.maxDepth) throw tooDeep(this.#options.maxDepth);
        if (this.#depth === partDepth) {
          this.#start = at;
          this.#bytes = bytes = 0;
        }
      } else if (char === CLOSE_ARRAY || char === CLOSE_OBJECT) {
        isInWord = false;
        if (this.#depth-- === partDepth) {
          this.#bytes += bytes;
          bytes = 0;
          this.#endPart(at);
          if (this.#end === 0) this.#end = at;
        }
        bytes++;
      } else {
        if (!isInWord) bytes++;
        isInWord = char !== COLON;
        digits = isDigit(char) ? digits + 1 : 0;
        if (digits >= LONG_DIGITS) bytes += digits === LONG_DIGITS ? LONG_DIGITS - 1 : 1;
      }
    }
    this.#bytes += bytes;
    this.#at = at;
    this.#isInWord = isInWord;
  }

  /** Returns the position after the string's end, and counts its {@link #escaped} characters. */
  #endOfString(start: number): number {
    const text = this.#text;
    let at = start;
    this.#escaped = 0;
    while (true) {
      if (this.#quote < at) this.#quote = positionOf(text, '"', at);
      if (this.#backslash < at) this.#backslash = positionOf(text, "\\", at);
      if (this.#quote <= this.#backslash) return this.#quote + 1;
      const length = text.charCodeAt(this.#backslash + 1) === LOWER_U ? 6 : 2;
      this.#escaped += length - 1;
      at = this.#backslash + length;
      if (at >= text.length) return at;
    }
  }

  #endPart(at: number): void {
    if (this.#partDepth === 0 || this.#end > 0) return;
    const part = { start: this.#start, end: at - 1, bytes: this.#bytes };
    this.#start = at;
    this.#bytes = 0;
    this.#options.onPart?.(part, this.#parts++);
  }
}

/** Matches texts that may be deeper than {@link MAX_JSON_DEPTH}; most are not, which costs little. */
const MANY_OPENED = new RegExp(`^(?:[^[{]*[[{]){${MAX_JSON_DEPTH + 1}}`);

/**
 * Requires a text of at most `maxDepth` levels of arrays and objects.
 *
 * @param maxDepth at least {@link MAX_JSON_DEPTH}
 * @throws {Problem} `bad_json`
 */
export function requireDepth(text: string, maxDepth: number): void {
  if (MANY_OPENED.test(text)) new JsonScan(text, { maxDepth }).scan(text.length);
}
