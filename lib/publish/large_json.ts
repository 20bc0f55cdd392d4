import { MAX_JSON_DEPTH } from "../shared/json_depth.ts";
import { decodeUtf8, hasLongNumber } from "./json.ts";
import { JsonCompactor, type JsonMember } from "./json_compactor.ts";
import { LONG_DIGITS } from "./json_text.ts";
import { largeTextTurn, TURN_CHARS } from "./large_text_turns.ts";

/** Members of an object that are kept. Guards against an object of a million members. */
const MAX_KEPT_MEMBERS = 100;

interface CompactOptions {
  /** Levels of arrays and objects that are allowed. @default {MAX_JSON_DEPTH} */
  readonly maxDepth?: number;
  /** @default false */
  readonly keepsDigits?: boolean;
  /** @default undefined */
  readonly onMember?: (member: JsonMember) => void;
}

interface ObjectOptions {
  /** Levels of arrays and objects that are allowed. */
  readonly maxDepth: number;
  /** @default {largeTextHasLongNumber} */
  readonly keepsDigits?: boolean | undefined;
}

/** An object of JSON whose `data` was not parsed. */
interface LargeObject {
  /** The object; its `data` is the text of that. If there are many members, only some of them. */
  readonly value: unknown;
  /** The number of members, also repeated ones. */
  readonly members: number;
  /** The compact text of `data`, if it is long. */
  readonly dataText: string | undefined;
  /** The name of another member that is a long array or object, and not in the value. */
  readonly longMember: string | undefined;
}

/** Decodes UTF-8 in turns of the event loop. @throws {Problem} `bad_encoding` */
export async function decodeLargeUtf8(bytes: Uint8Array): Promise<string> {
  const texts: string[] = [];
  for (let start = 0, end = 0; start < bytes.length; start = end) {
    await largeTextTurn();
    end = characterStart(bytes, start + TURN_CHARS);
    texts.push(decodeUtf8(bytes.subarray(start, end)));
  }
  return texts.join("");
}

/** Returns the position of the first byte of the character that `position` is in. */
function characterStart(bytes: Uint8Array, position: number): number {
  let start = position;
  // A character has at most four bytes. Otherwise this is not UTF-8, which the decoder refuses.
  while (position - start < 3 && ((bytes[start] ?? 0) & 0b1100_0000) === 0b1000_0000) start--;
  return start;
}

/** Returns, in turns of the event loop, whether `text` may have a number that a double cannot hold. */
export async function largeTextHasLongNumber(text: string): Promise<boolean> {
  for (let start = 0; start < text.length; start += TURN_CHARS) {
    await largeTextTurn();
    const from = Math.max(0, start - LONG_DIGITS); // a number may have begun before the part
    if (hasLongNumber(text.slice(from, start + TURN_CHARS))) return true;
  }
  return false;
}

/** Checks and compacts JSON in turns of the event loop. @throws {Problem} `bad_json` */
export async function compactLargeJson(
  text: string,
  { maxDepth = MAX_JSON_DEPTH, keepsDigits = false, onMember }: CompactOptions = {},
): Promise<string> {
  const compactor = new JsonCompactor(text, { maxDepth, keepsDigits, onMember });
  while (!compactor.isDone) {
    await largeTextTurn();
    compactor.advance(TURN_CHARS);
  }
  return compactor.finish();
}

/**
 * Reads an object as JSON, such as an event, without parsing its `data` if that is long. No other
 * member can be a long array or object.
 *
 * @throws {Problem} `bad_json`
 */
export async function readLargeObject(
  text: string,
  { maxDepth, keepsDigits }: ObjectOptions,
): Promise<LargeObject> {
  const kept: JsonMember[] = [];
  let members = 0;
  const compact = await compactLargeJson(text, {
    maxDepth,
    keepsDigits: keepsDigits ?? await largeTextHasLongNumber(text),
    onMember(member) {
      if (++members <= MAX_KEPT_MEMBERS) kept.push(member);
    },
  });
  await largeTextTurn();
  let dataText: string | undefined;
  let longMember: string | undefined;
  if (!compact.startsWith("{")) {
    return { value: isShort(compact) ? JSON.parse(compact) : [], members, dataText, longMember };
  }
  const value: Record<string, unknown> = Object.create(null);
  for (const { name, from, to } of kept) {
    const text = compact.slice(from, to);
    if (name === "data") dataText = undefined; // of several, the last one
    if (isShort(text)) value[name] = JSON.parse(text);
    else if (name === "data") value[name] = dataText = text;
    else longMember = name;
  }
  return { value, members, dataText, longMember };
}

/** Returns whether a text is parsed quickly: a string is, of any length. */
function isShort(text: string): boolean {
  return text.length <= TURN_CHARS || text.startsWith('"');
}
