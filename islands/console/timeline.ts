import type { EphemeralEvent, Gap, WeirEvent } from "../../lib/client/api.ts";
import { type Epoch, formatOffset, isOffset, positionOf } from "../../lib/shared/offset.ts";
import { EventPages, type EventPagesLimits, type LogPosition, PAGE_EVENTS } from "./event_pages.ts";

/** Notices that stay. Met: a page that reconnects for days, a flood of ephemeral events. */
export const MAX_NOTICES = 1_000;

/** What stands between events, or beside them. */
export type Notice =
  | { readonly kind: "gap"; readonly key: string; readonly time: string; readonly gap: Gap }
  | {
    readonly kind: "connection";
    readonly key: string;
    readonly time: string;
    readonly text: string;
  }
  | {
    readonly kind: "ephemeral";
    readonly key: string;
    readonly time: string;
    readonly event: EphemeralEvent;
  };

/** A notice without what the timeline gives it. */
export type NewNotice =
  | { readonly kind: "gap"; readonly gap: Gap }
  | { readonly kind: "connection"; readonly text: string }
  | { readonly kind: "ephemeral"; readonly event: EphemeralEvent };

/** A line of a list. An event's key is its offset. */
export type TimelineRow =
  | { readonly kind: "event"; readonly key: string; readonly event: WeirEvent }
  /** Not in memory. */
  | { readonly kind: "unread"; readonly key: string }
  /** Retention, or its own time to live, has removed it. */
  | { readonly kind: "gone"; readonly key: string }
  | Notice;

/** Lines by their number. */
export interface TimelineRows {
  readonly length: number;
  at(index: number): TimelineRow | undefined;
  indexOf(key: string): number;
}

interface SequenceRange {
  readonly kind: "run";
  readonly epoch: string;
  first: number;
  last: number;
}

/** Places that have to be read: the `limit` of them before `before`, an offset. */
export interface UnreadRange {
  readonly before: string;
  readonly limit: number;
}

/** An answer of `weir.history()`. */
export interface HistoryPage {
  readonly events: readonly WeirEvent[];
  readonly before: string | undefined;
}

/**
 * All of a channel as lines, oldest first: runs of consecutive sequences, of which not all events
 * are in memory, and notices between them. Sequences are dense, so where a line is needs no look
 * at those before it.
 */
export class Timeline implements TimelineRows {
  readonly #pages: EventPages;
  /** Runs, none of them empty, and notices. */
  #parts: (SequenceRange | Notice)[] = [];
  /** The number of the first line of each part. */
  #starts: number[] = [];
  #length = 0;
  #notices = 0;
  #noticesMade = 0;

  constructor(limits?: EventPagesLimits) {
    this.#pages = new EventPages(limits);
  }

  get length(): number {
    return this.#length;
  }

  /** Events in memory. */
  get eventCount(): number {
    return this.#pages.size;
  }

  at(index: number): TimelineRow | undefined {
    const at = this.#partAt(index);
    const part = this.#parts[at];
    if (part?.kind !== "run") return part;
    return this.rowAt({
      epoch: part.epoch,
      sequence: part.first + index - (this.#starts[at] ?? 0),
    });
  }

  indexOf(key: string): number {
    const place = parsePosition(key);
    const at = this.#parts.findIndex((part) =>
      part.kind !== "run" ? part.key === key : includes(part, place)
    );
    const part = this.#parts[at];
    const start = this.#starts[at] ?? -1;
    return part?.kind === "run" && place !== undefined
      ? start + place.sequence - part.first
      : start;
  }

  /** The line of a place, whether or not the timeline has it. */
  rowAt(place: LogPosition): TimelineRow {
    const key = offsetOf(place);
    const known = this.#pages.get(place);
    if (known === undefined) return { kind: "unread", key };
    return known === null ? { kind: "gone", key } : { kind: "event", key, event: known };
  }

  /** The channel has these places; their events may be added, or be read once they are wanted. */
  addRange(epoch: string, first: number, last: number): void {
    if (last >= first) this.#push({ kind: "run", epoch, first, last });
  }

  /** One more event behind all others. One that is there already is told by `false`. */
  append(event: WeirEvent): boolean {
    const place = parsePosition(event.offset);
    if (place === undefined) throw new Error(`${event.offset} is no offset`);
    const run = this.#parts.at(-1);
    if (run?.kind === "run" && run.epoch === place.epoch && run.last + 1 === place.sequence) {
      run.last++;
      this.#length++;
    } else if (this.#parts.some((part) => includes(part, place))) {
      this.#pages.set(place, event);
      return false;
    } else {
      this.#push({ kind: "run", ...place, first: place.sequence, last: place.sequence });
    }
    this.#pages.set(place, event);
    return true;
  }

  addNotice(notice: NewNotice): Notice {
    const made = {
      ...notice,
      key: `notice-${++this.#noticesMade}`,
      time: notice.kind === "ephemeral" ? notice.event.time : new Date().toISOString(),
    };
    this.#push(made);
    if (++this.#notices > MAX_NOTICES) this.#dropNotice();
    return made;
  }

  /** The events of places that the timeline has already. */
  setEvents(events: readonly WeirEvent[]): void {
    for (const event of events) {
      const place = parsePosition(event.offset);
      if (place !== undefined) this.#pages.set(place, event);
    }
  }

  /**
   * What was read of the places before `before`: its events, and that others there are gone. Where
   * the channel begins later than was thought, so does its run: answers how many lines fewer.
   */
  fill(asked: UnreadRange, { events, before }: HistoryPage): number {
    const end = parsePosition(asked.before);
    if (end === undefined) return 0;
    const { epoch } = end;
    // Behind this place all is known now.
    const reached = parsePosition(before ?? "")?.sequence ?? 1;
    const removed = before === undefined
      ? this.#trimStart(epoch, parsePosition(events[0]?.offset ?? "")?.sequence)
      : 0;
    const from = Math.max(reached, end.sequence - asked.limit);
    for (let sequence = from; sequence < end.sequence; sequence++) {
      this.#pages.set({ epoch, sequence }, null);
    }
    this.setEvents(events);
    return removed;
  }

  /** What is to be read so that all these lines can be drawn. They are kept before others. */
  unread(start: number, end: number): UnreadRange | undefined {
    let found: UnreadRange | undefined;
    for (let index = start; index < Math.min(end, this.#length); index++) {
      const key = this.at(index)?.key ?? "";
      const place = parsePosition(key);
      if (place === undefined) continue;
      this.#pages.touch(place);
      if (found === undefined && this.#pages.get(place) === undefined) {
        found = this.#pageAround(place);
      }
    }
    return found;
  }

  /** Of the whole page, as far as the channel goes: the next lines will be wanted too. */
  #pageAround(place: LogPosition): UnreadRange {
    const run = this.#parts.find((part) => includes(part, place));
    const pageEnd = Math.ceil(place.sequence / PAGE_EVENTS) * PAGE_EVENTS;
    const last = Math.min(pageEnd, run?.kind === "run" ? run.last : pageEnd);
    const limit = last - (pageEnd - PAGE_EVENTS);
    return { before: offsetOf({ epoch: place.epoch, sequence: last + 1 }), limit };
  }

  #push(part: SequenceRange | Notice): void {
    this.#parts.push(part);
    this.#starts.push(this.#length);
    this.#length += part.kind === "run" ? part.last - part.first + 1 : 1;
  }

  /** What came before `first` in this life of the channel can't be had. */
  #trimStart(epoch: string, first: number | undefined): number {
    if (first === undefined) return 0;
    const run = this.#parts.find((part) => part.kind === "run" && part.epoch === epoch);
    if (run?.kind !== "run" || first <= run.first || first > run.last) return 0;
    const removed = first - run.first;
    run.first = first;
    this.#updateStarts();
    return removed;
  }

  #dropNotice(): void {
    const at = this.#parts.findIndex(({ kind }) => kind !== "run");
    this.#parts.splice(at, 1);
    this.#notices--;
    const [before, after] = [this.#parts[at - 1], this.#parts[at]];
    if (
      before?.kind === "run" && after?.kind === "run" && before.epoch === after.epoch &&
      before.last + 1 === after.first
    ) {
      before.last = after.last;
      this.#parts.splice(at, 1);
    }
    this.#updateStarts();
  }

  #updateStarts(): void {
    this.#length = 0;
    this.#starts = this.#parts.map((part) => {
      const start = this.#length;
      this.#length += part.kind === "run" ? part.last - part.first + 1 : 1;
      return start;
    });
  }

  /** The last part that starts at `index` or before it. */
  #partAt(index: number): number {
    if (index < 0 || index >= this.#length) return -1;
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The place of an event's key, its offset; none of a notice's. */
export function parsePosition(key: string): LogPosition | undefined {
  return isOffset(key) ? positionOf(key) : undefined;
}

export function offsetOf({ epoch, sequence }: LogPosition): string {
  return formatOffset(epoch as Epoch, sequence);
}

function includes(part: SequenceRange | Notice, place: LogPosition | undefined): boolean {
  return part.kind === "run" && part.epoch === place?.epoch && part.first <= place.sequence &&
    place.sequence <= part.last;
}
