import { Problem } from "../shared/problem.ts";
import { MAX_JSON_DEPTH } from "../shared/json_depth.ts";
import { requireDepth } from "./json_scan.ts";
import { badJson, LONG_DIGITS } from "./json_text.ts";

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Matches a string, or what may be a number. A string without an end matches too, so that each
 * character is read only once.
 */
const TOKEN = /"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)|-?\d[\d.eE+-]*/g;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const LONG_NUMBER = new RegExp(`\\d{${LONG_DIGITS}}`);
/** Marks a number whose digits are put back later. No text contains it, since it is random. */
const MARK = crypto.randomUUID();

/**
 * Parses `text` as JSON. Numbers that a double cannot hold keep their digits, as raw JSON.
 *
 * @throws {Problem} `bad_json`, also if arrays and objects have more than `maxDepth` levels
 * @param keepsDigits whether numbers that are written in another way than JavaScript's keep their
 * digits. A part of a text passes what its whole text has.
 */
export function parseJson(
  text: string,
  maxDepth: number = MAX_JSON_DEPTH,
  keepsDigits: boolean = hasLongNumber(text),
): unknown {
  if (maxDepth < Infinity) requireDepth(text, maxDepth);
  if (!keepsDigits) return parseChecked(text);
  const digits: string[] = [];
  const marked = text.replace(TOKEN, (token) => {
    if (token.startsWith('"') || !NUMBER.test(token) || String(Number(token)) === token) {
      return token;
    }
    return `{"${MARK}":${digits.push(token) - 1}}`;
  });
  if (digits.length === 0) return parseChecked(text);
  let value: unknown;
  try {
    value = JSON.parse(marked);
  } catch {
    return parseChecked(text); // so that the error is about the original text
  }
  return restore(value, digits);
}

/**
 * Makes numbers of these members of an object that {@link parseJson} returned, where it has kept
 * their digits: `60.0` is a number of seconds too.
 */
export function makeNumbers(object: object, names: readonly string[]): void {
  const members = object as Record<string, unknown>;
  for (const name of names) {
    const member = members[name];
    if (isRawJson(member)) members[name] = Number(member.rawJSON);
  }
}

function isRawJson(value: unknown): value is { readonly rawJSON: string } {
  // TypeScript's library has no `isRawJSON` yet.
  return (JSON as unknown as { isRawJSON(value: unknown): boolean }).isRawJSON(value);
}

/** Returns whether `text` may have a number that a double cannot hold. */
export function hasLongNumber(text: string): boolean {
  return LONG_NUMBER.test(text);
}

/** Decodes UTF-8. @throws {Problem} `bad_encoding` */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new Problem("bad_encoding", "Cannot read the text: it is not valid UTF-8.", { cause });
  }
}

/** Parses `text` as `JSON.parse` does, if it is not too deep. @throws {Problem} `bad_json` */
export function parsePlainJson(text: string): unknown {
  requireDepth(text, MAX_JSON_DEPTH);
  return parseChecked(text);
}

/** @throws {Problem} `bad_json` */
function parseChecked(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // Not V8's message, which quotes the text: payloads do not belong in logs.
    const position = cause instanceof Error ? /position (\d+)/.exec(cause.message)?.[1] : undefined;
    throw badJson(position === undefined ? undefined : Number(position), cause);
  }
}

/**
 * Puts the digits in place of their marks. A reviver with access to the source text does the same,
 * but takes several times as long.
 */
function restore(value: unknown, digits: readonly string[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = restore(value[i], digits);
    return value;
  }
  const members = value as Record<string, unknown>; // an object of JSON
  const index = members[MARK];
  if (typeof index === "number") {
    // TypeScript's library has no `rawJSON` yet.
    return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(digits[index] ?? "");
  }
  for (const name of Object.keys(members)) members[name] = restore(members[name], digits);
  return members;
}
