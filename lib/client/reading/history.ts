import { type Epoch, formatOffset, isOffset } from "../../shared/offset.ts";
import type { History, HistoryOptions } from "../api.ts";
import { type Gap, toEvent, type WeirEvent } from "../core/event.ts";
import type { Link } from "../core/link.ts";
import type { JsonObject } from "../core/json_object.ts";
import { channelNameError } from "../core/channel_name.ts";
import { toPosition } from "../core/position.ts";
import { badAnswerError } from "../core/errors.ts";
import { checkedEvent } from "./schema.ts";
import { WeirError } from "../core/weir_error.ts";

/** Of the server, for one answer. */
const MAX_PAGE_EVENTS = 1_000;

interface EventPage {
  readonly events: readonly JsonObject[];
  readonly cursor: string;
  readonly gap?: Omit<Gap, "kind">;
}

/**
 * The `limit` places of the log in front of `before`, or of its end: sequences are dense, so where
 * they begin needs no search. Places whose events are gone count, but where none is left at all
 * those in front of them are read.
 *
 * @throws {WeirError}
 */
export async function readHistory<T>(
  link: Link,
  channel: string,
  { before, limit = 100, schema, signal }: HistoryOptions<T> = {},
): Promise<History<T>> {
  if (!(limit >= 1)) throw new WeirError("bad_parameter", "`limit` is at least 1.");
  const wrong = channelNameError(channel);
  if (wrong !== undefined) throw wrong;
  const name = encodeURIComponent(channel);
  const read = async (after: string, limit: number) => {
    const path = `/v1/events?channel=${name}&after=${after}&limit=${limit}`;
    const page = await link.call({ op: "get", path }, signal);
    if (Array.isArray(page["events"]) && isOffset(String(page["cursor"]))) {
      return page as unknown as EventPage;
    }
    throw badAnswerError("A page has no events or no cursor.");
  };
  const { epoch, sequence } = toPosition(before ?? (await read("latest", 1)).cursor);
  const at = (sequence: number) => formatOffset(epoch, sequence);
  const last = Math.max(0, before === undefined ? sequence : sequence - 1);
  const found: WeirEvent[] = [];
  let start = last;
  do {
    const end = start;
    start = Math.max(0, end - limit);
    for (let after = start; after < end;) {
      const { events, cursor, gap } = await read(at(after), Math.min(end - after, MAX_PAGE_EVENTS));
      const here = events.map(toEvent);
      found.push(...here.filter(({ offset }) => offset >= at(0) && offset <= at(end)));
      const next = toPosition(cursor);
      // A gap at the beginning can be of events that had their time: older ones may be there.
      if (gap !== undefined && after === start && await isFirst(read, epoch, start)) start = 0;
      if (next.epoch !== epoch || next.sequence <= after) break;
      after = next.sequence;
    }
  } while (found.length === 0 && start > 0);
  return {
    events: await Promise.all(found.map((event) => checkedEvent(event, schema))),
    isComplete: start === 0,
    before: start === 0 ? undefined : at(start + 1),
    cursor: at(last),
  };
}

/** Whether the kept log begins behind that place. */
async function isFirst(
  read: (after: string, limit: number) => Promise<EventPage>,
  epoch: Epoch,
  sequence: number,
): Promise<boolean> {
  const { events: [first], cursor, gap } = await read("earliest", 1);
  const earliest = toPosition(gap?.requested ?? String(first?.["offset"] ?? cursor));
  const isBehindFirst = gap === undefined && first !== undefined;
  return earliest.epoch !== epoch || earliest.sequence - Number(isBehindFirst) >= sequence;
}
