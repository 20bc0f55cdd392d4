import { z } from "zod";
import {
  isJsonType,
  type LogEvent,
  MAX_EVENT_BYTES,
  parseEventId,
  parseEventKey,
  parseEventType,
} from "../shared/event.ts";
import { type Channel, parseChannel } from "../shared/channel.ts";
import { type Epoch, parseOffset, type Position } from "../shared/offset.ts";
import { parseTraceparent } from "../shared/traceparent.ts";

/** Bytes of a line. Text can take six bytes a character in JSON, and an event 1 MiB. */
export const MAX_LINE_BYTES = 8 * 1024 * 1024;

const time = z.iso.datetime().transform((text) => Date.parse(text));
const offset = z.string().transform((text) => parseOffset(text));
const name = z.string().transform((text) => parseChannel(text));
const bytesOf = (text: string) => new TextEncoder().encode(text).length;

/** The first line of a channel. */
const headLine = z.strictObject({
  channel: name,
  first: offset,
  last: offset,
  changed: time,
  retention: z.strictObject({
    /** Seconds. */
    age: z.number().nonnegative(),
    events: z.number().nonnegative(),
    bytes: z.number().nonnegative(),
  }),
});

/** The last line of a channel, with the number of its events. */
const endLine = z.strictObject({ channel: name, end: z.literal(true), events: z.int() });

const eventLine = z.strictObject({
  channel: name,
  offset,
  id: z.string(),
  type: z.string().transform((text) => parseEventType(text)),
  time,
  contentType: z.string().min(1).max(256),
  data: z.unknown(),
  encoding: z.literal("base64").optional(),
  key: z.string().transform((text) => parseEventKey(text)).optional(),
  publisher: z.string().min(1).max(256).optional(),
  traceparent: z.string().optional(),
  expiresAt: time.optional(),
});

/** The first line of a channel, as values. */
export interface HeadLine {
  readonly kind: "head";
  readonly channel: Channel;
  readonly first: Position;
  readonly last: Position;
  /** Milliseconds since 1970. */
  readonly changed: number;
  readonly retention: {
    readonly age: number;
    readonly events: number;
    readonly bytes: number;
  };
}

export type ChannelLine =
  | HeadLine
  | {
    readonly kind: "event";
    readonly channel: Channel;
    readonly epoch: Epoch;
    readonly event: LogEvent;
  }
  | { readonly kind: "end"; readonly channel: Channel; readonly events: number };

/** Why a line cannot be read. Its message is a sentence. */
export class LineError extends Error {
  override readonly name = "LineError";
}

/** Parses a line of an export. @throws {LineError} @throws {Problem} for names and offsets. */
export function parseChannelLine(text: string): ChannelLine {
  const json = parseObject(text);
  if ("end" in json) return { kind: "end", ...parsed(endLine, json) };
  if (!("offset" in json)) return { kind: "head", ...parsed(headLine, json) };
  const { channel, offset: { epoch, sequence }, id, ...members } = parsed(eventLine, json);
  const isDefaultId = id === json["offset"];
  const data = dataOf(text, json);
  if ((typeof data === "string" ? bytesOf(data) : data.length) > MAX_EVENT_BYTES) {
    throw new LineError("The data is larger than 1 MiB.");
  }
  const event: LogEvent = {
    sequence,
    id: isDefaultId ? undefined : parseEventId(id),
    type: members.type,
    time: members.time,
    contentType: members.contentType,
    data,
    key: members.key,
    publisher: members.publisher,
    traceparent: parseTraceparent(members.traceparent),
    expiresAt: members.expiresAt,
  };
  return { kind: "event", channel, epoch, event };
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new LineError("The line is not JSON.", { cause });
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    return json as Readonly<Record<string, unknown>>;
  }
  throw new LineError("The line is not a JSON object.");
}

/** @throws {LineError} */
function parsed<T extends z.ZodType>(schema: T, json: unknown): z.infer<T> {
  const { data, error } = schema.safeParse(json);
  if (data !== undefined) return data;
  const [issue] = error?.issues ?? [];
  const path = issue?.path.join(".") ?? "";
  throw new LineError(`${path === "" ? "The line" : `"${path}"`}: ${issue?.message}.`);
}

/** Returns the data as it was published: JSON keeps its text, since JavaScript changes numbers. */
function dataOf(
  text: string,
  { data, encoding, contentType }: Readonly<Record<string, unknown>>,
): string | Uint8Array {
  if (encoding === "base64") return decodeBase64(data);
  if (isJsonType(String(contentType))) return valueText(text, "data");
  if (typeof data !== "string") throw new LineError(`"data" must be a string.`);
  return data;
}

function decodeBase64(data: unknown): Uint8Array {
  try {
    return Uint8Array.fromBase64(String(data));
  } catch (cause) {
    throw new LineError(`"data" is not base64.`, { cause });
  }
}

/**
 * Returns the text of a member's value in `text`, which is a JSON object with that member.
 *
 * @throws {LineError} if the member is there twice.
 */
export function valueText(text: string, name: string): string {
  const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs;
  let depth = 0;
  let isName = true;
  let current = "";
  let start = -1;
  let found: string | undefined;
  const close = (end: number) => {
    if (current === name && start >= 0) {
      if (found !== undefined) throw new LineError(`"${name}" is there twice.`);
      found = text.slice(start, end).trim();
    }
    start = -1;
  };
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [token] = match;
    if (token.startsWith('"')) {
      if (depth === 1 && isName) current = JSON.parse(token);
    } else if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") {
      if (--depth === 0) close(match.index);
    } else if (depth === 1) {
      isName = token === ",";
      if (isName) close(match.index);
      else start = match.index + 1;
    }
  }
  if (found === undefined) throw new LineError(`"${name}" is missing.`);
  return found;
}
