import {
  badJson,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  isDigit,
  isWhiteSpace,
  OPEN_ARRAY,
  OPEN_OBJECT,
  positionOf,
  QUOTE,
  tooDeep,
} from "./json_text.ts";

/** What may come next. */
const VALUE = 0;
const VALUE_OR_END = 1;
const NAME = 2;
const NAME_OR_END = 3;
const COLON_NEXT = 4;
const COMMA_OR_END = 5;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Matches a number that JavaScript writes in the same way. */
const PLAIN_NUMBER = /(?:0|-?[1-9]\d{0,14})(?![\d.eE])/y;
/** What no string of JSON has without an escape. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f]/g;
const MINUS = "-".charCodeAt(0);
const LITERALS = ["true", "false", "null"];

interface JsonCompactorOptions {
  /** Levels of arrays and objects that are allowed. */
  readonly maxDepth: number;
  /** Whether numbers stay as they were written. Otherwise they are written as JavaScript does. */
  readonly keepsDigits: boolean;
  /** Called with each member of the object that the text is. @default undefined */
  readonly onMember?: ((member: JsonMember) => void) | undefined;
}

/** A member of an object, and where its value is in the compact text. */
export interface JsonMember {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/**
 * Checks JSON part by part and writes it as `JSON.stringify(JSON.parse(text))` does, without any
 * values in memory. The text is well-formed, as decoded text is. Only the members of objects stay as
 * they are in the text: also repeated ones, and in their order.
 */
export class JsonCompactor {
  readonly #text: string;
  readonly #options: JsonCompactorOptions;
  /** Whether each open level is an object. */
  readonly #isObject: boolean[] = [];
  readonly #written: string[] = [];
  /** What the current part adds to the written texts. */
  readonly #pieces: string[] = [];
  #writtenChars = 0;
  /** The text from here up to the current position is written as it is. */
  #from = 0;
  #at = 0;
  #next = VALUE;
  /** The next positions of these characters, or the text's end; they may be passed. */
  #quote = -1;
  #backslash = -1;
  #control = -1;
  #member: { readonly name: string; readonly from: number } | undefined;
  #name = "";

  constructor(text: string, options: JsonCompactorOptions) {
    this.#text = text;
    this.#options = options;
  }

  get isDone(): boolean {
    return this.#at >= this.#text.length;
  }

  /**
   * Goes at least `chars` characters further, up to the end of a string, number or word.
   *
   * @throws {Problem} `bad_json`
   */
  advance(chars: number): void {
    const text = this.#text;
    const end = Math.min(text.length, this.#at + chars);
    while (this.#at < end) {
      const char = text.charCodeAt(this.#at);
      if (char === COMMA) this.#comma();
      else if (char === OPEN_ARRAY || char === OPEN_OBJECT) this.#open(char === OPEN_OBJECT);
      else if (char === CLOSE_ARRAY || char === CLOSE_OBJECT) this.#close(char === CLOSE_OBJECT);
      else if (char === QUOTE) this.#string();
      else if (char === COLON) this.#colon();
      else if (isWhiteSpace(char)) this.#skipWhiteSpace();
      else if (char === MINUS || isDigit(char)) this.#number();
      else this.#word();
    }
    // Few texts stay in memory, even if each number of a long array is rewritten.
    if (this.#pieces.length > 0) this.#written.push(this.#pieces.join(""));
    this.#pieces.length = 0;
  }

  /** Returns the compact text. @throws {Problem} `bad_json` */
  finish(): string {
    if (this.#next !== COMMA_OR_END || this.#isObject.length > 0) throw badJson();
    this.#write(this.#text.length, this.#text.length);
    return this.#written.concat(this.#pieces).join("");
  }

  #comma(): void {
    const isObject = this.#isObject.at(-1);
    if (this.#next !== COMMA_OR_END || isObject === undefined) throw badJson(this.#at);
    this.#next = isObject ? NAME : VALUE;
    this.#at++;
  }

  #colon(): void {
    if (this.#next !== COLON_NEXT) throw badJson(this.#at);
    this.#next = VALUE;
    this.#at++;
    if (this.#isObject.length === 1 && this.#options.onMember !== undefined) {
      this.#member = { name: this.#name, from: this.#length };
    }
  }

  #open(isObject: boolean): void {
    if (this.#next > VALUE_OR_END) throw badJson(this.#at);
    const { maxDepth } = this.#options;
    if (this.#isObject.push(isObject) > maxDepth) throw tooDeep(maxDepth);
    this.#next = isObject ? NAME_OR_END : VALUE_OR_END;
    this.#at++;
  }

  #close(isObject: boolean): void {
    const isEmpty = this.#next === (isObject ? NAME_OR_END : VALUE_OR_END);
    const mayEnd = this.#next === COMMA_OR_END || isEmpty;
    if (!mayEnd || this.#isObject.pop() !== isObject) throw badJson(this.#at);
    this.#at++;
    this.#endValue();
  }

  #string(): void {
    const start = this.#at;
    const isName = this.#next === NAME || this.#next === NAME_OR_END;
    if (!isName && this.#next > VALUE_OR_END) throw badJson(start);
    const end = this.#endOfString(start + 1);
    let written = "";
    if (this.#backslash < end) {
      written = JSON.stringify(parseString(this.#text.slice(start, end), start));
      this.#write(start, end, written);
    }
    this.#at = end;
    if (!isName) return this.#endValue();
    this.#next = COLON_NEXT;
    if (this.#isObject.length === 1 && this.#options.onMember !== undefined) {
      this.#name = JSON.parse(written === "" ? this.#text.slice(start, end) : written);
    }
  }

  /**
   * Returns the position after the string's end. The next backslash is then one of the string's, or
   * comes after it.
   */
  #endOfString(start: number): number {
    const text = this.#text;
    if (this.#backslash < start) this.#backslash = positionOf(text, "\\", start);
    if (this.#control < start) {
      CONTROL.lastIndex = start;
      this.#control = CONTROL.exec(text)?.index ?? text.length;
    }
    if (this.#quote < start) this.#quote = positionOf(text, '"', start);
    for (let backslash = this.#backslash; backslash < this.#quote;) {
      const after = backslash + 2;
      if (this.#quote < after) this.#quote = positionOf(text, '"', after);
      backslash = positionOf(text, "\\", after);
    }
    if (this.#quote >= text.length) throw badJson();
    if (this.#control < this.#quote) throw badJson(this.#control);
    return this.#quote + 1;
  }

  #number(): void {
    const start = this.#at;
    NUMBER.lastIndex = start;
    if (this.#next > VALUE_OR_END || !NUMBER.test(this.#text)) throw badJson(start);
    this.#at = NUMBER.lastIndex;
    PLAIN_NUMBER.lastIndex = start;
    if (!this.#options.keepsDigits && !PLAIN_NUMBER.test(this.#text)) {
      const number = Number(this.#text.slice(start, this.#at));
      this.#write(start, this.#at, JSON.stringify(number));
    }
    this.#endValue();
  }

  #word(): void {
    const word = LITERALS.find((literal) => this.#text.startsWith(literal, this.#at));
    if (word === undefined || this.#next > VALUE_OR_END) throw badJson(this.#at);
    this.#at += word.length;
    this.#endValue();
  }

  #skipWhiteSpace(): void {
    const start = this.#at;
    let at = start + 1;
    while (isWhiteSpace(this.#text.charCodeAt(at))) at++;
    this.#write(start, at);
    this.#at = at;
  }

  #endValue(): void {
    this.#next = COMMA_OR_END;
    if (this.#member === undefined || this.#isObject.length !== 1) return;
    this.#options.onMember?.({ ...this.#member, to: this.#length });
    this.#member = undefined;
  }

  /** The length of the compact text up to the current position. */
  get #length(): number {
    return this.#writtenChars + this.#at - this.#from;
  }

  /** Writes the text up to `to`, and `instead` in place of the text from there to `from`. */
  #write(to: number, from: number, instead = ""): void {
    if (to > this.#from) this.#pieces.push(this.#text.slice(this.#from, to));
    if (instead !== "") this.#pieces.push(instead);
    this.#writtenChars += to - this.#from + instead.length;
    this.#from = from;
  }
}

function parseString(text: string, position: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badJson(position, cause);
  }
}
