import { z } from "zod";
import { type ChannelKey, channelKeyOf, parseChannel, type Tenant } from "../shared/channel.ts";
import {
  DEFAULT_TYPE,
  isJsonType,
  isTextType,
  JSON_TYPE,
  MAX_EVENT_BYTES,
  parseEventId,
  parseEventKey,
  parseEventType,
} from "../shared/event.ts";
import { Problem, quote } from "../shared/problem.ts";
import type { Draft } from "../log/log.ts";

/** Events in one publish. Met: one request that holds up everybody else's commit. */
export const MAX_EVENTS_PER_PUBLISH = 100;
/** Seconds, a year. Met: a time that no calendar can hold. */
const MAX_TTL_SECONDS = 31_536_000;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();
const MEDIA_TYPE = /^[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+(?:\s*;[\x20-\x7e]*)?$/i;
const CHARSET = /;\s*charset\s*=\s*"?([^\s";]+)/i;

/** One event as JSON, in `POST /v1/events` and in the WebSocket's `publish`. */
export const publication = z.strictObject({
  channel: z.string(),
  data: z.unknown(),
  type: z.string().optional(),
  id: z.string().optional(),
  key: z.string().optional(),
  ttl: z.number().optional(),
  /** Delivered to who is there now and not stored: see ephemeral_draft.ts. */
  ephemeral: z.boolean().optional(),
});
export type Publication = z.infer<typeof publication>;

/** What names an event beside its data, as it was sent. */
interface DraftNames {
  readonly type?: string | undefined;
  readonly id?: string | undefined;
  readonly key?: string | undefined;
  /** Seconds. */
  readonly ttl?: number | undefined;
}

/** @throws {Problem} `bad_channel`, `bad_event_*`, `bad_body`, `event_too_large` */
export function draftOfPublication(tenant: Tenant, from: Publication): Draft {
  if (from.data === undefined) {
    throw new Problem("bad_body", `Cannot publish an event without "data": any JSON value is one.`);
  }
  const channelKey = channelKeyOf(tenant, parseChannel(from.channel));
  const data = JSON.stringify(from.data);
  return makeDraft(channelKey, JSON_TYPE, data, utf8.encode(data).length, from);
}

/**
 * The event that a request body is.
 *
 * @throws {Problem} `bad_json`, `bad_encoding`, `bad_content_type`, `bad_event_*`,
 * `event_too_large`
 */
export function draftOfBody(
  channelKey: ChannelKey,
  contentType: string | undefined,
  body: Uint8Array,
  names: DraftNames,
): Draft {
  const type = parseContentType(contentType);
  if (!isJsonType(type) && !isTextType(type)) {
    return makeDraft(channelKey, type, body, body.length, names);
  }
  const text = decode(body);
  if (isJsonType(type)) readJson(text); // stored as it was published
  return makeDraft(channelKey, type, text, body.length, names);
}

/**
 * `text` as JSON. Numbers that a double can't hold keep their digits, as raw JSON.
 *
 * @throws {Problem} `bad_json`
 */
export function parseJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return readJson(text);
  const digits: string[] = [];
  const marked = text.replace(TOKEN, (token) => {
    if (token.startsWith('"') || !NUMBER.test(token) || String(Number(token)) === token) {
      return token;
    }
    return `{"${MARK}":${digits.push(token) - 1}}`;
  });
  if (digits.length === 0) return readJson(text);
  let value: unknown;
  try {
    value = JSON.parse(marked);
  } catch {
    return readJson(text); // what is wrong is said of the text as it was sent
  }
  return withDigits(value, digits);
}

/** @throws {Problem} `bad_encoding` */
export function decode(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new Problem("bad_encoding", "Cannot read the text: it is not UTF-8.", { cause });
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Problem("bad_json", `Cannot read the JSON: ${describe(cause)}.`, { cause });
  }
}

/** V8's message without the piece of the text that it shows: a payload has no place in a log. */
function describe(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : "";
  const place = /position \d+/.exec(message)?.[0];
  return place === undefined ? "it ends too early or is no JSON" : `unexpected at ${place}`;
}

/**
 * A string or what may be a number. A string that never ends is one too: so each character is read
 * once, whatever the text is.
 */
const TOKEN = /"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)|-?\d[\d.eE+-]*/g;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** Stands for a number that waits for its digits; no text can have it. */
const MARK = crypto.randomUUID();

/**
 * `value` with its digits in place of their marks. A reviver that is given the source text does the
 * same at several times the cost.
 */
function withDigits(value: unknown, digits: readonly string[]): unknown {
  try {
    return restore(value, digits);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new Problem("bad_json", "Cannot read the JSON: it is nested too deeply.", { cause });
  }
}

function restore(value: unknown, digits: readonly string[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = restore(value[i], digits);
    return value;
  }
  const members = value as Record<string, unknown>; // of JSON
  const index = members[MARK];
  if (typeof index === "number") {
    // TypeScript's library does not know `rawJSON` yet.
    return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(digits[index] ?? "");
  }
  for (const name of Object.keys(members)) members[name] = restore(members[name], digits);
  return members;
}

function parseContentType(contentType: string | undefined): string {
  if (contentType === undefined || contentType === "") return "application/octet-stream";
  if (contentType === JSON_TYPE) return JSON_TYPE;
  if (contentType.length > 256 || !MEDIA_TYPE.test(contentType)) {
    throw new Problem("bad_content_type", `Cannot use ${quote(contentType)} as a Content-Type.`);
  }
  const charset = CHARSET.exec(contentType)?.[1]?.toLowerCase() ?? "utf-8";
  const essence = (contentType.split(";")[0] ?? "").trim().toLowerCase();
  // What `curl -d` says of anything.
  if (essence === "application/x-www-form-urlencoded") return "text/plain";
  if (!isJsonType(essence) && !isTextType(essence)) return contentType;
  if (!["utf-8", "utf8", "us-ascii"].includes(charset)) {
    throw new Problem("bad_content_type", `Cannot read the charset ${quote(charset)}: use utf-8.`);
  }
  return essence;
}

function makeDraft(
  channelKey: ChannelKey,
  contentType: string,
  data: string | Uint8Array,
  bytes: number,
  { type, id, key, ttl }: DraftNames,
): Draft {
  if (bytes > MAX_EVENT_BYTES) {
    throw new Problem(
      "event_too_large",
      `Cannot store ${bytes} bytes of data: an event has ${MAX_EVENT_BYTES} at the most.`,
    );
  }
  if (ttl !== undefined && !(Number.isSafeInteger(ttl) && ttl >= 1 && ttl <= MAX_TTL_SECONDS)) {
    throw new Problem(
      "bad_event_ttl",
      `Cannot use ${ttl} as a time to live: it is a whole number of seconds from 1 to ${MAX_TTL_SECONDS}.`,
    );
  }
  return {
    channelKey,
    id: id === undefined ? undefined : parseEventId(id),
    type: type === undefined ? DEFAULT_TYPE : parseEventType(type),
    contentType,
    data,
    bytes,
    key: key === undefined ? undefined : parseEventKey(key),
    ttlMs: ttl === undefined ? undefined : ttl * 1_000,
  };
}
