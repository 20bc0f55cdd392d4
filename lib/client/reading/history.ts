import { isOffset, sequenceOf } from "../../shared/offset.ts";
import type { History, HistoryOptions } from "../api.ts";
import { channelNameError } from "../core/channel_name.ts";
import { badAnswerError } from "../core/errors.ts";
import { toEvent } from "../core/event.ts";
import type { JsonObject } from "../core/json_object.ts";
import type { Link } from "../core/link.ts";
import { WeirError } from "../core/weir_error.ts";
import { validateEvent } from "./schema.ts";

/** The server's limit for one answer. */
const MAX_PAGE_EVENTS = 1_000;

/** The server's answer to a read with `before`. */
interface PageBefore {
  readonly events: readonly JsonObject[];
  /** The offset of the last position of the page. */
  readonly cursor: string;
  /** The offset of its first position, or null if nothing earlier is kept. */
  readonly before: string | null;
}

/**
 * Reads the `limit` log positions before `before`, or before the end of the log. Positions of
 * expired events count, but if none of the events is left it continues with the positions before
 * them.
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
  if (before !== undefined && !isOffset(before)) {
    throw new WeirError("bad_cursor", `${JSON.stringify(before)} is not an offset.`);
  }
  const readPage = async (before: string, count: number) => {
    const query = `before=${before}&limit=${Math.min(count, MAX_PAGE_EVENTS)}`;
    const path = `/v1/events?channel=${encodeURIComponent(channel)}&${query}`;
    return toPage(await link.call({ op: "get", path }, signal));
  };
  const size = Math.floor(limit);
  let page = await readPage(before ?? "latest", size);
  const { cursor } = page;
  const found = page.events.map(toEvent);
  for (let left = size; page.before !== null;) {
    left -= sequenceOf(page.cursor) - sequenceOf(page.before) + 1;
    if (left <= 0 && found.length > 0) break;
    page = await readPage(page.before, left > 0 ? left : size);
    found.unshift(...page.events.map(toEvent));
  }
  return {
    events: await Promise.all(found.map((event) => validateEvent(event, schema))),
    isComplete: page.before === null,
    before: page.before ?? undefined,
    cursor,
  };
}

function toPage(answer: JsonObject): PageBefore {
  const { events, cursor, before } = answer;
  const isPage = Array.isArray(events) && isOffset(String(cursor)) &&
    (before === null || isOffset(String(before)) && String(before) <= String(cursor));
  if (isPage) return answer as unknown as PageBefore;
  throw badAnswerError("The answer has no events or no cursor.");
}
