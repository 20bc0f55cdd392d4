import { MAX_JSON_DEPTH } from "../shared/json_depth.ts";
import { JsonCompactor, type JsonMember } from "./json_compactor.ts";
import { largeTextTurn, TURN_CHARS } from "./large_text_turns.ts";

interface CompactOptions {
  /** Levels of arrays and objects that are allowed. @default {MAX_JSON_DEPTH} */
  readonly maxDepth?: number;
  /** @default false */
  readonly keepsDigits?: boolean;
  /** @default undefined */
  readonly onMember?: (member: JsonMember) => void;
}

interface PublicationOptions {
  readonly keepsDigits: boolean;
  /** Receives the number of members; throws if there are too many. */
  readonly onMembers: (members: number) => void;
}

/** A publication whose data was not parsed. */
interface LargePublication {
  /** The members; `data` is true in place of the data. */
  readonly event: unknown;
  readonly dataText: string | undefined;
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
 * Reads an event as JSON without parsing its data. Other members cannot be large: a type of them that
 * is refused anyway takes their place.
 *
 * @throws {Problem} `bad_json`
 */
export async function readLargePublication(
  text: string,
  { keepsDigits, onMembers }: PublicationOptions,
): Promise<LargePublication> {
  const members: JsonMember[] = [];
  const compact = await compactLargeJson(text, {
    maxDepth: MAX_JSON_DEPTH + 1,
    keepsDigits,
    onMember: (member) => void members.push(member),
  });
  await largeTextTurn();
  if (!compact.startsWith("{")) return { event: valueOf(compact), dataText: undefined };
  onMembers(members.length);
  let dataText: string | undefined;
  const event = Object.fromEntries(members.map(({ name, from, to }) => {
    const value = compact.slice(from, to);
    if (name !== "data") return [name, valueOf(value)];
    dataText = value;
    return [name, true];
  }));
  return { event, dataText };
}

/** Parses a short text or a string; of a longer text only what it is. */
function valueOf(text: string): unknown {
  if (text.length <= TURN_CHARS || text.startsWith('"')) return JSON.parse(text);
  return text.startsWith("[") ? [] : {};
}
