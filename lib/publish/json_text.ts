import { Problem } from "../shared/problem.ts";

export const QUOTE = '"'.charCodeAt(0);
export const LOWER_U = "u".charCodeAt(0);
export const OPEN_ARRAY = "[".charCodeAt(0);
export const CLOSE_ARRAY = "]".charCodeAt(0);
export const OPEN_OBJECT = "{".charCodeAt(0);
export const CLOSE_OBJECT = "}".charCodeAt(0);
export const COMMA = ",".charCodeAt(0);
export const COLON = ":".charCodeAt(0);
export const SPACE = " ".charCodeAt(0);
const TAB = "\t".charCodeAt(0);
const LINE_FEED = "\n".charCodeAt(0);
const CARRIAGE_RETURN = "\r".charCodeAt(0);
const ZERO = "0".charCodeAt(0);
const NINE = "9".charCodeAt(0);

/** Numbers with so many digits in a row are stored as they were written: a double may not hold them. */
export const LONG_DIGITS = 16;

export function isDigit(char: number): boolean {
  return char >= ZERO && char <= NINE;
}

export function isWhiteSpace(char: number): boolean {
  return char === SPACE || char === LINE_FEED || char === CARRIAGE_RETURN || char === TAB;
}

/** Returns the first position of `char`, or the text's end. */
export function positionOf(text: string, char: string, from: number): number {
  const position = text.indexOf(char, from);
  return position === -1 ? text.length : position;
}

/** Creates the problem of a text that is not JSON from a position on, or incomplete. */
export function badJson(position?: number, cause?: unknown): Problem {
  const what = position === undefined
    ? "it is incomplete or not JSON"
    : `unexpected at position ${position}`;
  return new Problem("bad_json", `Cannot read the JSON: ${what}.`, { cause });
}

export function tooDeep(maxDepth: number): Problem {
  const detail = `Cannot read the JSON: it has more than ${maxDepth} levels of arrays and objects.`;
  return new Problem("bad_json", detail);
}
