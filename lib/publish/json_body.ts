import { z } from "zod";
import type { Draft } from "../log/log.ts";
import { MAX_EVENT_BYTES } from "../shared/event.ts";
import { describeIssue } from "../shared/issue.ts";
import { Problem, quote } from "../shared/problem.ts";
import {
  draftOfPublication,
  MAX_EVENTS_PER_PUBLISH,
  MAX_PUBLICATION_BYTES,
  type Producer,
  type Publication,
  publication,
  requireFew,
  requireFewMembers,
} from "./draft.ts";
import { decodeUtf8, makeNumbers, parseJson } from "./json.ts";
import { decodeLargeUtf8, largeTextHasLongNumber, readLargeObject } from "./large_json.ts";
import { MAX_JSON_DEPTH } from "../shared/json_depth.ts";
import { JsonScan, type TextPart } from "./json_scan.ts";
import { largeTextTurn, TURN_CHARS } from "./large_text_turns.ts";

/** Levels of a publication around its data. */
const EVENT_LEVELS = 1;
/** Levels of a batch around its publications. */
const BATCH_LEVELS = 2;
/** The depth that is allowed in a text that was scanned before. */
const SCANNED = Infinity;
const BATCH_START = /^\s*\{\s*"events"\s*:\s*\[/;
const BATCH_END = /^\s*\}\s*$/;

/** Several events. Each is parsed by itself, so that a fault says which one it is in. */
export const batch = z.strictObject({ events: z.array(z.unknown()).min(1) });

/** What a body of `POST /v1/events` publishes. */
interface PublishedBody {
  readonly drafts: readonly Draft[];
  readonly isEphemeral: boolean;
}

/** What one event as JSON publishes. */
export interface PublishedEvent {
  readonly draft: Draft;
  readonly isEphemeral: boolean;
}

/**
 * Parses one event, or `{"events": […]}`. Long bodies are parsed event by event, each in a turn of
 * the event loop.
 *
 * @throws {Problem} `bad_encoding`, `bad_json`, `bad_body`, `bad_channel`, `bad_event_*`, `event_too_large`,
 * `too_many_events`
 */
export async function parseJsonBody(producer: Producer, body: Uint8Array): Promise<PublishedBody> {
  const text = body.length > TURN_CHARS ? await decodeLargeUtf8(body) : decodeUtf8(body);
  const isBatch = BATCH_START.test(text);
  const maxDepth = MAX_JSON_DEPTH + EVENT_LEVELS + (isBatch ? BATCH_LEVELS : 0);
  if (text.length > TURN_CHARS) return await parseLarge(producer, text, { isBatch, maxDepth });
  const value = parseJson(text, maxDepth);
  return isBatchValue(value)
    ? { drafts: parseBatch(producer, value), isEphemeral: false }
    : bodyOf(parseSingle(producer, value));
}

/**
 * Parses one event. A long one is parsed in turns of the event loop.
 *
 * @throws {Problem} as {@link parseJsonBody} does, but for batches
 */
export function parseJsonEvent(
  producer: Producer,
  bytes: Uint8Array,
): PublishedEvent | Promise<PublishedEvent> {
  if (bytes.length > TURN_CHARS) return parseLargeEvent(producer, bytes);
  return parseSingle(producer, parseJson(decodeUtf8(bytes), MAX_JSON_DEPTH + EVENT_LEVELS));
}

async function parseLargeEvent(producer: Producer, bytes: Uint8Array): Promise<PublishedEvent> {
  const { value, dataText } = await readLargeEvent(await decodeLargeUtf8(bytes));
  return parseSingle(producer, value, dataText);
}

async function parseLarge(
  producer: Producer,
  text: string,
  { isBatch, maxDepth }: { readonly isBatch: boolean; readonly maxDepth: number },
): Promise<PublishedBody> {
  const parts: TextPart[] = [];
  const scan = new JsonScan(text, {
    maxDepth,
    ...isBatch && {
      partDepth: BATCH_LEVELS,
      onPart(part, index) {
        requireCount(index + 1);
        requireSize(part.bytes, index);
        parts.push(part);
      },
    },
  });
  while (!scan.isDone) {
    await largeTextTurn();
    scan.scan(TURN_CHARS);
    requireSize(scan.bytes);
  }
  await largeTextTurn();
  if (!isBatch && scan.bytes > TURN_CHARS) {
    const { value, dataText } = await readLargeEvent(text);
    return bodyOf(parseSingle(producer, value, dataText));
  }
  if (!isBatch) {
    const value = parseJson(text, SCANNED);
    return isBatchValue(value)
      ? { drafts: parseBatch(producer, value), isEphemeral: false }
      : bodyOf(parseSingle(producer, value));
  }
  if (text[scan.partsEnd - 1] !== "]" || !BATCH_END.test(text.slice(scan.partsEnd))) {
    throw onlyEvents();
  }
  const keepsDigits = await largeTextHasLongNumber(text);
  const drafts: Draft[] = [];
  let chars = 0;
  for (const [index, { start, end, bytes }] of parts.entries()) {
    const part = text.slice(start, end);
    if (bytes > TURN_CHARS) {
      const { value, dataText } = await readLargeEvent(part, keepsDigits, index);
      drafts.push(draftOfBatched(producer, value, index, dataText));
      continue;
    }
    if ((chars += part.length) > TURN_CHARS) {
      await largeTextTurn();
      chars = part.length;
    }
    drafts.push(draftOfBatched(producer, parseJson(part, SCANNED, keepsDigits), index));
  }
  return { drafts, isEphemeral: false };
}

/** @throws {Problem} `bad_json`, `bad_body` */
async function readLargeEvent(
  text: string,
  keepsDigits?: boolean,
  index?: number,
): Promise<{ readonly value: unknown; readonly dataText: string | undefined }> {
  const { what, place } = named(index);
  const maxDepth = MAX_JSON_DEPTH + EVENT_LEVELS;
  const read = await readLargeObject(text, { maxDepth, keepsDigits });
  requireFew(read.members, what, place);
  if (read.longMember !== undefined) {
    throw new Problem(
      "bad_body",
      `Cannot use ${what}: ${quote(read.longMember)} is too long.`,
      place,
    );
  }
  return read;
}

/** Returns how errors name an event. */
function named(index?: number): { readonly what: string; readonly place: { index?: number } } {
  return index === undefined
    ? { what: "the event", place: {} }
    : { what: `event ${index}`, place: { index } };
}

function onlyEvents(): Problem {
  return new Problem("bad_body", `Cannot use the body: it must have only the member "events".`);
}

function isBatchValue(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "events");
}

function requireCount(events: number): void {
  if (events <= MAX_EVENTS_PER_PUBLISH) return;
  throw new Problem(
    "too_many_events",
    `Cannot publish ${events} or more events at once: the maximum is ${MAX_EVENTS_PER_PUBLISH}.`,
  );
}

function requireSize(bytes: number, index?: number): void {
  if (bytes <= MAX_PUBLICATION_BYTES) return;
  throw new Problem(
    "event_too_large",
    `${
      index === undefined ? "The" : `Event ${index}: the`
    } event is too large: its data may have at most ${MAX_EVENT_BYTES} bytes.`,
    index === undefined ? {} : { index },
  );
}

function parseSingle(producer: Producer, value: unknown, dataText?: string): PublishedEvent {
  const event = parsePublication(value);
  const draft = draftOfPublication(producer, event, dataText);
  return { draft, isEphemeral: event.ephemeral === true };
}

function bodyOf({ draft, isEphemeral }: PublishedEvent): PublishedBody {
  return { drafts: [draft], isEphemeral };
}

function parseBatch(producer: Producer, value: unknown): readonly Draft[] {
  requireFewMembers(value, "the body");
  const parsed = batch.safeParse(value);
  if (!parsed.success) {
    throw new Problem("bad_body", `Cannot use the body: ${describeIssue(parsed.error)}.`);
  }
  const { events } = parsed.data;
  if (events.length > MAX_EVENTS_PER_PUBLISH) {
    throw new Problem(
      "too_many_events",
      `Cannot publish ${events.length} events at once: the maximum is ${MAX_EVENTS_PER_PUBLISH}.`,
    );
  }
  return events.map((event, index) => draftOfBatched(producer, event, index));
}

function draftOfBatched(
  producer: Producer,
  value: unknown,
  index: number,
  dataText?: string,
): Draft {
  const event = parsePublication(value, index);
  if (event.ephemeral) {
    throw new Problem("bad_body", `Event ${index}: an ephemeral event must be published alone.`, {
      index,
    });
  }
  try {
    return draftOfPublication(producer, event, dataText);
  } catch (cause) {
    if (!(cause instanceof Problem)) throw cause;
    throw new Problem(cause.code, `Event ${index}: ${cause.detail}`, { index, cause });
  }
}

function parsePublication(value: unknown, index?: number): Publication {
  const { what, place } = named(index);
  requireFewMembers(value, what, place);
  if (typeof value === "object" && value !== null) makeNumbers(value, ["ttl"]);
  const parsed = publication.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Problem("bad_body", `Cannot use ${what}: ${describeIssue(parsed.error)}.`, place);
}
