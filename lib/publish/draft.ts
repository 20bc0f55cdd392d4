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
import { parseTraceparent } from "../shared/traceparent.ts";
import type { Draft } from "../log/log.ts";
import { decodeUtf8, parsePlainJson } from "./json.ts";
import { compactLargeJson, decodeLargeUtf8 } from "./large_json.ts";
import { TURN_CHARS } from "./large_text_turns.ts";

/** Maximum number of events in one publish. Guards against one request that delays all commits. */
export const MAX_EVENTS_PER_PUBLISH = 100;
/**
 * The fewest bytes of a publication as JSON: its data, with room for its other members. Guards
 * against parsing what is too large anyway.
 */
export const MAX_PUBLICATION_BYTES = MAX_EVENT_BYTES + 4_096;
/** Members of an object from a client. Guards against a long search for those that are unknown. */
const MAX_MEMBERS = 32;
/** A year. Guards against times that a Date cannot hold. */
const MAX_TTL_SECONDS = 31_536_000;

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
  traceparent: z.string().optional(),
  /** Delivered to current subscribers and not stored: see ephemeral_draft.ts. */
  ephemeral: z.boolean().optional(),
});
export type Publication = z.infer<typeof publication>;

/** Who publishes, by the credential of the request, and in which span. */
export interface Producer {
  readonly tenant: Tenant;
  readonly publisher: string | undefined;
  /** Of the request, and parsed: for events that have none of their own. */
  readonly traceparent?: string | undefined;
}

/** Where a body goes, and who publishes it. */
interface BodyTarget {
  readonly channelKey: ChannelKey;
  readonly publisher: string | undefined;
  /** As in a {@link Producer}. */
  readonly traceparent?: string | undefined;
}

/** The event of a batch that a problem is about. */
interface ProblemPlace {
  readonly index?: number;
}

/** The fields of an event apart from its data, as they were sent. */
interface DraftNames {
  readonly type?: string | undefined;
  readonly id?: string | undefined;
  readonly key?: string | undefined;
  /** Seconds. */
  readonly ttl?: number | undefined;
  readonly traceparent?: string | undefined;
}

/** Requires at most {@link MAX_MEMBERS} members in `value`, if it is an object. */
export function requireFewMembers(value: unknown, what: string, options?: ProblemPlace): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  requireFew(Object.keys(value).length, what, options);
}

/** Requires that an object with so many members is searched. @throws {Problem} `bad_body` */
export function requireFew(members: number, what: string, options?: ProblemPlace): void {
  if (members <= MAX_MEMBERS) return;
  throw new Problem("bad_body", `Cannot use ${what}: it has ${members} members.`, options);
}

/**
 * Creates the draft of an event that was published as JSON.
 *
 * @param dataText the data as it is stored. @default `from.data` as JSON
 * @throws {Problem} `bad_channel`, `bad_event_*`, `bad_body`, `event_too_large`
 */
export function draftOfPublication(
  { tenant, publisher, traceparent }: Producer,
  from: Publication,
  dataText?: string,
): Draft {
  if (from.data === undefined) {
    throw new Problem(
      "bad_body",
      `Cannot publish an event without "data". It can be any JSON value.`,
    );
  }
  const channelKey = channelKeyOf(tenant, parseChannel(from.channel));
  const data = dataText ?? JSON.stringify(from.data);
  const bytes = utf8.encode(data).length;
  const target = { channelKey, publisher, traceparent };
  return makeDraft(target, { contentType: JSON_TYPE, data, bytes }, from);
}

/**
 * Creates the draft of an event whose data is the request body. A long body is checked in several
 * turns of the event loop.
 *
 * @throws {Problem} `bad_json`, `bad_encoding`, `bad_content_type`, `bad_event_*`,
 * `event_too_large`
 */
export async function draftOfBody(
  target: BodyTarget,
  contentType: string | undefined,
  body: Uint8Array,
  names: DraftNames,
): Promise<Draft> {
  const type = parseContentType(contentType);
  const bytes = body.length;
  if (!isJsonType(type) && !isTextType(type)) {
    return makeDraft(target, { contentType: type, data: body, bytes }, names);
  }
  const text = body.length > TURN_CHARS ? await decodeLargeUtf8(body) : decodeUtf8(body);
  if (isJsonType(type)) {
    // Only checked: the text is stored as it was published.
    if (text.length > TURN_CHARS) await compactLargeJson(text);
    else parsePlainJson(text);
  }
  return makeDraft(target, { contentType: type, data: text, bytes }, names);
}

function parseContentType(contentType: string | undefined): string {
  if (contentType === undefined || contentType === "") return "application/octet-stream";
  if (contentType === JSON_TYPE) return JSON_TYPE;
  if (contentType.length > 256 || !MEDIA_TYPE.test(contentType)) {
    throw new Problem("bad_content_type", `Cannot use ${quote(contentType)} as a Content-Type.`);
  }
  const charset = CHARSET.exec(contentType)?.[1]?.toLowerCase() ?? "utf-8";
  const essence = (contentType.split(";")[0] ?? "").trim().toLowerCase();
  // The default of `curl -d`, for any data.
  if (essence === "application/x-www-form-urlencoded") return "text/plain";
  if (!isJsonType(essence) && !isTextType(essence)) return contentType;
  if (!["utf-8", "utf8", "us-ascii"].includes(charset)) {
    throw new Problem("bad_content_type", `Cannot read the charset ${quote(charset)}: use utf-8.`);
  }
  return essence;
}

function makeDraft(
  { channelKey, publisher, traceparent }: BodyTarget,
  { contentType, data, bytes }: Pick<Draft, "contentType" | "data" | "bytes">,
  { type, id, key, ttl, traceparent: own }: DraftNames,
): Draft {
  if (bytes > MAX_EVENT_BYTES) {
    throw new Problem(
      "event_too_large",
      `Cannot store ${bytes} bytes of data: an event has at most ${MAX_EVENT_BYTES}.`,
    );
  }
  if (ttl !== undefined && !(Number.isSafeInteger(ttl) && ttl >= 1 && ttl <= MAX_TTL_SECONDS)) {
    throw new Problem(
      "bad_event_ttl",
      `Cannot use ${ttl} as a time to live: use a whole number of seconds from 1 to ${MAX_TTL_SECONDS}.`,
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
    publisher,
    traceparent: parseTraceparent(own) ?? traceparent,
    ttlMs: ttl === undefined ? undefined : ttl * 1_000,
  };
}
