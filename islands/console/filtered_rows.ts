import { textOf } from "./event_text.ts";
import {
  type Notice,
  offsetOf,
  parsePosition,
  type Timeline,
  type TimelineRow,
  type TimelineRows,
} from "./timeline.ts";

/** Events per step of a search. Guards against a page that freezes while it searches a long log. */
const SEARCH_EVENTS = 1_000;

/** What to search for. An empty text matches everything. Case is ignored. */
export interface EventFilter {
  readonly type: string;
  readonly text: string;
}

export const NO_FILTER: EventFilter = { type: "", text: "" };

export function isFiltering({ type, text }: EventFilter): boolean {
  return type !== "" || text !== "";
}

/** The rows of a timeline that pass a filter. Gaps and connection notices always pass. */
export class FilteredRows implements TimelineRows {
  readonly #timeline: Timeline;
  readonly #filter: EventFilter;
  #found: (string | Notice)[] = [];
  /** The oldest row that was searched. All rows after it were searched too. */
  #reached: number;

  /** Searches everything that is in memory. */
  constructor(timeline: Timeline, filter: EventFilter) {
    this.#timeline = timeline;
    this.#filter = { type: filter.type.toLowerCase(), text: filter.text.toLowerCase() };
    this.#reached = timeline.length;
    this.goBack();
  }

  get length(): number {
    return this.#found.length;
  }

  /** Rows that were not searched because they are not in memory. */
  get unsearched(): number {
    return this.#reached;
  }

  at(index: number): TimelineRow | undefined {
    const found = this.#found[index];
    if (typeof found !== "string") return found;
    const position = parsePosition(found);
    return position === undefined ? undefined : this.#timeline.rowAt(position);
  }

  indexOf(key: string): number {
    return this.#found.findIndex((found) =>
      (typeof found === "string" ? found : found.key) === key
    );
  }

  /** Searches a row that was just added to the timeline. */
  push(row: TimelineRow): void {
    if (this.#isMatch(row)) this.#found.push(refOf(row));
  }

  /** Searches older rows up to the first that is not in memory. */
  goBack(): void {
    const found: (string | Notice)[] = [];
    while (this.#reached > 0) {
      const row = this.#timeline.at(this.#reached - 1);
      if (row === undefined || row.kind === "unloaded") break;
      if (this.#isMatch(row)) found.push(refOf(row));
      this.#reached--;
    }
    if (found.length > 0) this.#found = [...found.reverse(), ...this.#found];
  }

  /** Returns what to read before the search can continue; undefined at the start of the channel. */
  next(): { readonly before: string; readonly limit: number } | undefined {
    const position = parsePosition(this.#timeline.at(this.#reached - 1)?.key ?? "");
    if (position === undefined) return undefined;
    const { epoch, sequence } = position;
    return {
      before: offsetOf({ epoch, sequence: sequence + 1 }),
      limit: Math.min(SEARCH_EVENTS, sequence),
    };
  }

  /** Adjusts to rows that were removed from the timeline's start. */
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
