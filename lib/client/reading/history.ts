import {
  type Epoch,
  formatOffset,
  isOffset,
  type Position,
  positionOf,
} from "../../shared/offset.ts";
import type { History, HistoryOptions } from "../api.ts";
import { channelNameError } from "../core/channel_name.ts";
import { badAnswerError } from "../core/errors.ts";
import { type Gap, toEvent, type WeirEvent } from "../core/event.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { Link } from "../core/link.ts";
import { WeirError } from "../core/weir_error.ts";
import { validateEvent } from "./schema.ts";

/** The server's limit for one answer. */
const MAX_PAGE_EVENTS = 1_000;

/** The server's answer to a read. */
interface EventPage {
  readonly events: readonly JsonObject[];
  readonly cursor: string;
  readonly gap?: Omit<Gap, "kind">;
}

type ReadPage = (after: string, limit: number) => Promise<EventPage>;

/**
 * Reads the `limit` log positions before `before`, or before the end of the log. Sequences are
 * dense, so the first position is known. Positions of expired events count, but if none of the
 * events is left it continues with the positions before them.
 *
 * @throws {WeirError}
 */
export async function readHistory<T>(
  link: Link,
  channel: string,
  { before, limit = 100, schema, signal }: HistoryOptions<T> = {},
): Promise<History<T>> {
  if (!(limit >= 1)) throw new WeirError("bad_parameter", "`limit` must be at least 1.");
  const nameError = channelNameError(channel);
  if (nameError !== undefined) throw nameError;
  const readPage = makeReadPage(link, channel, signal);
  const { epoch, sequence } = parsePosition(before ?? (await readPage("latest", 1)).cursor);
  const offsetAt = (sequence: number) => formatOffset(epoch, sequence);
  const last = Math.max(0, before === undefined ? sequence : sequence - 1);
  let found: readonly WeirEvent[] = [];
  let start = last;
  do {
    const end = start;
    start = Math.max(0, end - limit);
    const range = await readRange(readPage, epoch, start, end);
    found = [...range.events, ...found];
    if (range.isFirst) start = 0;
  } while (found.length === 0 && start > 0);
  return {
    events: await Promise.all(found.map((event) => validateEvent(event, schema))),
    isComplete: start === 0,
    before: start === 0 ? undefined : offsetAt(start + 1),
    cursor: offsetAt(last),
  };
}

function makeReadPage(link: Link, channel: string, signal: AbortSignal | undefined): ReadPage {
  const name = encodeURIComponent(channel);
  return async (after, limit) => {
    const path = `/v1/events?channel=${name}&after=${after}&limit=${limit}`;
    const page = await link.call({ op: "get", path }, signal);
    if (Array.isArray(page["events"]) && isOffset(String(page["cursor"]))) {
      return page as unknown as EventPage;
    }
    throw badAnswerError("The answer has no events or no cursor.");
  };
}

interface Range {
  readonly events: readonly WeirEvent[];
  /** Whether nothing earlier is available. */
  readonly isFirst: boolean;
}

/** Reads the events after the sequence `start` up to `end`. */
async function readRange(
  readPage: ReadPage,
  epoch: Epoch,
  start: number,
  end: number,
): Promise<Range> {
  const offsetAt = (sequence: number) => formatOffset(epoch, sequence);
  const found: WeirEvent[] = [];
  let isFirst = false;
  for (let after = start; after < end;) {
    const limit = Math.min(end - after, MAX_PAGE_EVENTS);
    const { events, cursor, gap } = await readPage(offsetAt(after), limit);
    const inEpoch = events.map(toEvent)
      .filter(({ offset }) => offset >= offsetAt(0) && offset <= offsetAt(end));
    found.push(...inEpoch);
    // A gap at the start may consist of expired events, with older ones still available.
    isFirst ||= gap !== undefined && after === start && await isLogStart(readPage, epoch, start);
    const next = parsePosition(cursor);
    if (next.epoch !== epoch || next.sequence <= after) break;
    after = next.sequence;
  }
  return { events: found, isFirst };
}

/** Whether the kept log begins after the position. */
async function isLogStart(readPage: ReadPage, epoch: Epoch, sequence: number): Promise<boolean> {
  const { events: [first], cursor, gap } = await readPage("earliest", 1);
  const earliest = parsePosition(gap?.requested ?? String(first?.["offset"] ?? cursor));
  const isAfterFirst = gap === undefined && first !== undefined;
  return earliest.epoch !== epoch || earliest.sequence - Number(isAfterFirst) >= sequence;
}

/** @throws {WeirError} `bad_cursor` */
function parsePosition(offset: string): Position {
  if (isOffset(offset)) return positionOf(offset);
  throw new WeirError("bad_cursor", `${JSON.stringify(offset)} is not an offset.`);
}
