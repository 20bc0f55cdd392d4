import type { EphemeralEvent, Gap, WeirEvent } from "../../lib/client/api.ts";
import {
  type Epoch,
  formatOffset,
  isOffset,
  type Position,
  positionOf,
} from "../../lib/shared/offset.ts";
import { EventPages, type EventPagesLimits, PAGE_EVENTS } from "./event_pages.ts";

/** Notices kept. Guards against days of reconnects and floods of ephemeral events. */
export const MAX_NOTICES = 1_000;

/** A row that is not a stored event. */
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

/** A notice before the timeline gives it a key and a time. */
export type NewNotice =
  | { readonly kind: "gap"; readonly gap: Gap }
  | { readonly kind: "connection"; readonly text: string }
  | { readonly kind: "ephemeral"; readonly event: EphemeralEvent };

/** A row of a list. The key of an event is its offset. */
export type TimelineRow =
  | { readonly kind: "event"; readonly key: string; readonly event: WeirEvent }
  /** An event that is not in memory. */
  | { readonly kind: "unloaded"; readonly key: string }
  /** An event that retention or its time to live has removed. */
  | { readonly kind: "gone"; readonly key: string }
  | Notice;

/** Rows by index. */
export interface TimelineRows {
  readonly length: number;
  at(index: number): TimelineRow | undefined;
  indexOf(key: string): number;
}

interface SequenceRange {
  readonly kind: "run";
  readonly epoch: Epoch;
  first: number;
  last: number;
}

/** Positions that have to be read: `limit` of them before the offset `before`. */
interface UnloadedRange {
  readonly before: string;
  readonly limit: number;
}

/** A result of `weir.history()`. */
interface HistoryPage {
  readonly events: readonly WeirEvent[];
  readonly before: string | undefined;
}

/**
 * All rows of a channel, oldest first: ranges of consecutive sequences and notices between them.
 * Not all events of a range are in memory. Sequences are dense, so the index of a row follows from
 * its offset.
 */
export class Timeline implements TimelineRows {
  readonly #pages: EventPages;
  /** Ranges, none of them empty, and notices. */
  #parts: (SequenceRange | Notice)[] = [];
  /** The index of the first row of each part. */
  #starts: number[] = [];
  #length = 0;
  #notices = 0;
  #nextNotice = 0;

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
    const position = parsePosition(key);
    const at = this.#parts.findIndex((part) =>
      part.kind !== "run" ? part.key === key : includes(part, position)
    );
    const part = this.#parts[at];
    const start = this.#starts[at] ?? -1;
    return part?.kind === "run" && position !== undefined
      ? start + position.sequence - part.first
      : start;
  }

  /** Returns the row of a position, even outside the timeline. */
  rowAt(position: Position): TimelineRow {
    const key = offsetOf(position);
    const known = this.#pages.get(position);
    if (known === undefined) return { kind: "unloaded", key };
    return known === null ? { kind: "gone", key } : { kind: "event", key, event: known };
  }

  /** Adds positions that the channel has. Their events can be added later or read on demand. */
  addRange(epoch: Epoch, first: number, last: number): void {
    if (last >= first) this.#push({ kind: "run", epoch, first, last });
  }

  /** Appends an event. Returns false if the timeline has it already. */
  append(event: WeirEvent): boolean {
    const position = parsePosition(event.offset);
    if (position === undefined) throw new Error(`${event.offset} is no offset`);
    const run = this.#parts.at(-1);
    if (run?.kind === "run" && run.epoch === position.epoch && run.last + 1 === position.sequence) {
      run.last++;
      this.#length++;
    } else if (this.#parts.some((part) => includes(part, position))) {
      this.#pages.set(position, event);
      return false;
    } else {
      this.#push({ kind: "run", ...position, first: position.sequence, last: position.sequence });
    }
    this.#pages.set(position, event);
    return true;
  }

  addNotice(notice: NewNotice): Notice {
    const added = {
      ...notice,
      key: `notice-${++this.#nextNotice}`,
      time: notice.kind === "ephemeral" ? notice.event.time : new Date().toISOString(),
    };
    this.#push(added);
    if (++this.#notices > MAX_NOTICES) this.#dropNotice();
    return added;
  }

  /** Sets the events of positions that the timeline has already. */
  setEvents(events: readonly WeirEvent[]): void {
    for (const event of events) {
      const position = parsePosition(event.offset);
      if (position !== undefined) this.#pages.set(position, event);
    }
  }

  /**
   * Adds what was read for the positions before `before`. Positions without an event are gone. If
   * the channel starts later than known, its range shrinks. Returns the number of rows removed.
   */
  fill(range: UnloadedRange, { events, before }: HistoryPage): number {
    const end = parsePosition(range.before);
    if (end === undefined) return 0;
    const { epoch } = end;
    // Everything from this sequence on is known now.
    const reached = parsePosition(before ?? "")?.sequence ?? 1;
    const removed = before === undefined
      ? this.#trimStart(epoch, parsePosition(events[0]?.offset ?? "")?.sequence)
      : 0;
    const from = Math.max(reached, end.sequence - range.limit);
    for (let sequence = from; sequence < end.sequence; sequence++) {
      this.#pages.set({ epoch, sequence }, null);
    }
    this.setEvents(events);
    return removed;
  }

  /** Returns what to read to show these rows, and marks them as recently used. */
  unloaded(start: number, end: number): UnloadedRange | undefined {
    let found: UnloadedRange | undefined;
    for (let index = start; index < Math.min(end, this.#length); index++) {
      const key = this.at(index)?.key ?? "";
      const position = parsePosition(key);
      if (position === undefined) continue;
      this.#pages.touch(position);
      if (found === undefined && this.#pages.get(position) === undefined) {
        found = this.#pageAround(position);
      }
    }
    return found;
  }

  /** Returns the whole page around a position: its other rows will be needed next. */
  #pageAround(position: Position): UnloadedRange {
    const run = this.#parts.find((part) => includes(part, position));
    const pageEnd = Math.ceil(position.sequence / PAGE_EVENTS) * PAGE_EVENTS;
    const last = Math.min(pageEnd, run?.kind === "run" ? run.last : pageEnd);
    const limit = last - (pageEnd - PAGE_EVENTS);
    return { before: offsetOf({ epoch: position.epoch, sequence: last + 1 }), limit };
  }

  #push(part: SequenceRange | Notice): void {
    this.#parts.push(part);
    this.#starts.push(this.#length);
    this.#length += part.kind === "run" ? part.last - part.first + 1 : 1;
  }

  /** Removes the rows before `first` of this epoch, which are gone. Returns their number. */
  #trimStart(epoch: Epoch, first: number | undefined): number {
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

  /** Returns the last part that starts at `index` or before it. */
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

/** Parses an event's key, which is its offset. Returns undefined for keys of notices. */
export function parsePosition(key: string): Position | undefined {
  return isOffset(key) ? positionOf(key) : undefined;
}

export function offsetOf({ epoch, sequence }: Position): string {
  return formatOffset(epoch, sequence);
}

function includes(part: SequenceRange | Notice, position: Position | undefined): boolean {
  return part.kind === "run" && part.epoch === position?.epoch && part.first <= position.sequence &&
    position.sequence <= part.last;
}
