import type { Channel } from "./channel.ts";
import { type Epoch, formatOffset, type Offset } from "./offset.ts";
import { Problem, quote } from "./problem.ts";

/** Bytes of data in an event. Guards against one publish filling the memory. */
export const MAX_EVENT_BYTES = 1_048_576;

/** Bytes of a type, an id or a key. They are in every frame, and ids in keys of the store. */
const MAX_NAME_BYTES = 256;

/** The type of events that are published without one. `EventSource.onmessage` receives it. */
export const DEFAULT_TYPE = "message";

export const JSON_TYPE = "application/json";

/** An event as it is stored. Times are milliseconds since 1970. */
export interface LogEvent {
  /** 1, 2, 3 … without holes within an epoch. */
  readonly sequence: number;
  /** The id that the producer chose. Without one the event's offset is its id. */
  readonly id: string | undefined;
  readonly type: string;
  readonly time: number;
  readonly contentType: string;
  /** Text for JSON and `text/*`, exactly as published; otherwise bytes. */
  readonly data: string | Uint8Array;
  readonly key: string | undefined;
  /** Who published it, by its credential. Undefined if nobody knows, or Weir itself did. */
  readonly publisher: string | undefined;
  /** The span that published it, in the form of {@link import("./traceparent.ts").parseTraceparent}. */
  readonly traceparent: string | undefined;
  readonly expiresAt: number | undefined;
}

/** Events that a reader can no longer get. `lost` is null if their number is unknown. */
export interface Gap {
  readonly reason: "expired" | "recreated" | "restored" | "ahead";
  readonly requested: Offset;
  readonly firstAvailable: Offset;
  readonly lost: number | null;
}

/** An event as clients receive it, in JSON. */
export interface WireEvent {
  readonly channel: Channel;
  readonly offset: Offset;
  readonly id: string;
  readonly type: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  readonly contentType: string;
  /** The value for JSON types, a string for `text/*`, otherwise base64. */
  readonly data: unknown;
  readonly encoding?: "base64";
  readonly key?: string;
  readonly publisher?: string;
  readonly traceparent?: string;
  readonly expiresAt?: string;
}

export function isJsonType(contentType: string): boolean {
  return contentType === JSON_TYPE || /^[^;]*(?:\/json|\+json)\s*(?:;|$)/i.test(contentType);
}

export function isTextType(contentType: string): boolean {
  return /^text\//i.test(contentType);
}

/**
 * Formats the members of a {@link WireEvent} as JSON, without braces and on one line. A transport
 * can put its own members in front without building an object for each event.
 */
export function eventMembers(channelJson: string, epoch: Epoch, event: LogEvent): string {
  const offset = formatOffset(epoch, event.sequence);
  const id = event.id === undefined ? `"${offset}"` : JSON.stringify(event.id);
  const type = event.type === DEFAULT_TYPE ? `"${DEFAULT_TYPE}"` : JSON.stringify(event.type);
  const contentType = event.contentType === JSON_TYPE
    ? `"${JSON_TYPE}"`
    : JSON.stringify(event.contentType);
  let text = `"channel":${channelJson},"offset":"${offset}","id":${id},"type":${type},"time":"${
    formatTime(event.time)
  }","contentType":${contentType},"data":${dataJson(event)}`;
  if (typeof event.data !== "string") text += `,"encoding":"base64"`;
  if (event.key !== undefined) text += `,"key":${JSON.stringify(event.key)}`;
  if (event.publisher !== undefined) text += `,"publisher":${JSON.stringify(event.publisher)}`;
  if (event.traceparent !== undefined) text += `,"traceparent":"${event.traceparent}"`;
  if (event.expiresAt !== undefined) text += `,"expiresAt":"${formatTime(event.expiresAt)}"`;
  return text;
}

/** Formats the members of a gap as JSON, without braces. */
export function gapMembers(channelJson: string, gap: Gap): string {
  return `"channel":${channelJson},"reason":"${gap.reason}","requested":"${gap.requested}","firstAvailable":"${gap.firstAvailable}","lost":${gap.lost}`;
}

/** Returns text data as it is, and other data in base64. */
export function dataText(data: string | Uint8Array): string {
  return typeof data === "string" ? data : encodeBase64(data);
}

/** Formats the data as JSON on one line: the value for JSON types, otherwise a string. */
export function dataJson({ data, contentType }: Pick<LogEvent, "data" | "contentType">): string {
  if (typeof data === "string" && isJsonType(contentType)) {
    // A line end in JSON text is white space between tokens, since strings escape theirs.
    return data.includes("\n") || data.includes("\r") ? data.replace(/[\r\n]+/g, " ") : data;
  }
  return JSON.stringify(dataText(data));
}

/** Encodes bytes in standard base64 with padding (RFC 4648 §4). */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(binary);
}

let lastTime = NaN;
let lastTimeText = "";

/** Formats milliseconds since 1970 as RFC 3339. Events of one commit share their time: it is cached. */
export function formatTime(time: number): string {
  if (time !== lastTime) {
    lastTimeText = new Date(time).toISOString();
    lastTime = time;
  }
  return lastTimeText;
}

// Pure, so that the client does not contain it: it uses only constants of this file.
const utf8 = /* @__PURE__ */ new TextEncoder();
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

/** @throws {Problem} `bad_event_type` */
export function parseEventType(text: string): string {
  const fault = nameFault(text) ??
    (text.startsWith("weir.") ? `types that start with "weir." are reserved` : undefined);
  if (fault !== undefined) throw nameProblem("bad_event_type", "type", text, fault);
  return text;
}

/** @throws {Problem} `bad_event_id` */
export function parseEventId(text: string): string {
  const fault = nameFault(text);
  if (fault !== undefined) throw nameProblem("bad_event_id", "id", text, fault);
  return text;
}

/** @throws {Problem} `bad_event_key` */
export function parseEventKey(text: string): string {
  const fault = nameFault(text);
  if (fault !== undefined) throw nameProblem("bad_event_key", "key", text, fault);
  return text;
}

function nameFault(text: string): string | undefined {
  if (text.length === 0) return "it is empty";
  if (text.length > MAX_NAME_BYTES || utf8.encode(text).length > MAX_NAME_BYTES) {
    return "it is too long";
  }
  if (CONTROL.test(text)) return "it contains a control character";
  if (!text.isWellFormed()) return "it is not valid Unicode";
  return undefined;
}

function nameProblem(
  code: "bad_event_type" | "bad_event_id" | "bad_event_key",
  what: "type" | "id" | "key",
  text: string,
  fault: string,
): Problem {
  return new Problem(
    code,
    `Invalid event ${what} ${
      quote(text)
    }: ${fault}. It must be 1–${MAX_NAME_BYTES} bytes of UTF-8 without control characters.`,
  );
}
