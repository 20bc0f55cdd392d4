import { textOf } from "./event_text.ts";
import {
  type Notice,
  offsetOf,
  parsePosition,
  type Timeline,
  type TimelineRow,
  type TimelineRows,
} from "./timeline.ts";

/** Lines that one look goes through. Met: a page that stands still while a long log is searched. */
const SEARCH_EVENTS = 1_000;

/** What is looked for; an empty text finds all. Case doesn't matter. */
export interface EventFilter {
  readonly type: string;
  readonly text: string;
}

export const NO_FILTER: EventFilter = { type: "", text: "" };

export function isFiltering({ type, text }: EventFilter): boolean {
  return type !== "" || text !== "";
}

/** The lines of a timeline that a filter lets through. Gaps and what the connection does always. */
export class FilteredRows implements TimelineRows {
  readonly #timeline: Timeline;
  readonly #filter: EventFilter;
  #found: (string | Notice)[] = [];
  /** The line that was looked at last on the way back; all behind it are done. */
  #reached: number;

  /** Goes back through all that is in memory. */
  constructor(timeline: Timeline, filter: EventFilter) {
    this.#timeline = timeline;
    this.#filter = { type: filter.type.toLowerCase(), text: filter.text.toLowerCase() };
    this.#reached = timeline.length;
    this.goBack();
  }

  get length(): number {
    return this.#found.length;
  }

  /** Lines that were not looked at, as they aren't in memory. */
  get unsearched(): number {
    return this.#reached;
  }

  at(index: number): TimelineRow | undefined {
    const found = this.#found[index];
    if (typeof found !== "string") return found;
    const place = parsePosition(found);
    return place === undefined ? undefined : this.#timeline.rowAt(place);
  }

  indexOf(key: string): number {
    return this.#found.findIndex((found) =>
      (typeof found === "string" ? found : found.key) === key
    );
  }

  /** Looks at the line that the timeline has just been given. */
  push(row: TimelineRow): void {
    if (this.#isMatch(row)) this.#found.push(refOf(row));
  }

  /** Looks at older lines, down to the first that isn't in memory. */
  goBack(): void {
    const found: (string | Notice)[] = [];
    while (this.#reached > 0) {
      const row = this.#timeline.at(this.#reached - 1);
      if (row === undefined || row.kind === "unread") break;
      if (this.#isMatch(row)) found.push(refOf(row));
      this.#reached--;
    }
    if (found.length > 0) this.#found = [...found.reverse(), ...this.#found];
  }

  /** What is to be read before it can go further back; none: it is at the beginning. */
  next(): { readonly before: string; readonly limit: number } | undefined {
    const place = parsePosition(this.#timeline.at(this.#reached - 1)?.key ?? "");
    if (place === undefined) return undefined;
    const { epoch, sequence } = place;
    return {
      before: offsetOf({ epoch, sequence: sequence + 1 }),
      limit: Math.min(SEARCH_EVENTS, sequence),
    };
  }

  /** Lines were removed from the timeline's beginning. */
  shift(count: number): void {
    this.#reached = Math.max(0, this.#reached - count);
  }

  #isMatch(row: TimelineRow): boolean {
    switch (row.kind) {
      case "event":
      case "ephemeral": {
        const { type, data } = row.event;
        return type.toLowerCase().includes(this.#filter.type) &&
          (this.#filter.text === "" || textOf(data).toLowerCase().includes(this.#filter.text) ||
            idsOf(row).some((text) => text.toLowerCase().includes(this.#filter.text)));
      }
      case "gap":
      case "connection":
        return true;
      default:
        return false;
    }
  }
}

function idsOf(row: TimelineRow): readonly string[] {
  if (row.kind !== "event") return [];
  const { id, key } = row.event;
  return key === undefined ? [id] : [id, key];
}

function refOf(row: TimelineRow): string | Notice {
  return row.kind === "gap" || row.kind === "connection" || row.kind === "ephemeral"
    ? row
    : row.key;
}
