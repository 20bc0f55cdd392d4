import type { WeirEvent } from "../../lib/client/api.ts";
import { textOf } from "./event_text.ts";
import type { Position } from "../../lib/shared/offset.ts";

/** Log positions per page. Pages are read and evicted as a whole. */
export const PAGE_EVENTS = 100;
/** Events in memory. Guards against a page that is open for days. */
const MAX_EVENTS = 100_000;
/** Bytes in memory by the estimate of {@link sizeOf}. Guards against large events. */
const MAX_BYTES = 64 * 1024 ** 2;
/** Estimated bytes of an event without its data. */
const EVENT_BYTES = 400;

/** What is known about a position: its event, `null` if that is gone, `undefined` if not in memory. */
type KnownEvent = WeirEvent | null | undefined;

interface EventPage {
  readonly known: KnownEvent[];
  events: number;
  bytes: number;
}

export interface EventPagesLimits {
  readonly events?: number;
  readonly bytes?: number;
}

/** Events by position. Past the limits, the least recently used pages are evicted. */
export class EventPages {
  readonly #pages = new Map<string, EventPage>();
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  #newest = "";
  #events = 0;
  #bytes = 0;

  constructor({ events = MAX_EVENTS, bytes = MAX_BYTES }: EventPagesLimits = {}) {
    this.#maxEvents = events;
    this.#maxBytes = bytes;
  }

  /** Events in memory. */
  get size(): number {
    return this.#events;
  }

  get(position: Position): KnownEvent {
    return this.#pages.get(keyOf(position))?.known[indexOf(position)];
  }

  set(position: Position, event: WeirEvent | null): void {
    const page = this.#usePage(position);
    const index = indexOf(position);
    this.#count(page, page.known[index], -1);
    page.known[index] = event;
    this.#count(page, event, 1);
    this.#evict();
  }

  /** Marks the position's page as recently used. */
  touch(position: Position): void {
    if (this.#pages.has(keyOf(position))) this.#usePage(position);
  }

  #usePage(position: Position): EventPage {
    const key = keyOf(position);
    const page = this.#pages.get(key) ?? { known: [], events: 0, bytes: 0 };
    if (key === this.#newest) return page;
    this.#pages.delete(key);
    this.#pages.set(key, page); // a Map keeps the order of insertion
    this.#newest = key;
    return page;
  }

  #count(page: EventPage, known: KnownEvent, by: 1 | -1): void {
    if (known === undefined || known === null) return;
    const bytes = by * sizeOf(known);
    page.events += by;
    page.bytes += bytes;
    this.#events += by;
    this.#bytes += bytes;
  }

  #evict(): void {
    for (const [key, page] of this.#pages) {
      if (this.#events <= this.#maxEvents && this.#bytes <= this.#maxBytes) return;
      if (key === this.#newest) return;
      this.#pages.delete(key);
      this.#events -= page.events;
      this.#bytes -= page.bytes;
    }
  }
}

function keyOf({ epoch, sequence }: Position): string {
  return `${epoch}/${Math.floor((sequence - 1) / PAGE_EVENTS)}`;
}

function indexOf({ sequence }: Position): number {
  return (sequence - 1) % PAGE_EVENTS;
}

const sizes = new WeakMap<WeirEvent, number>();

/** Estimates the bytes that an event takes in memory. */
function sizeOf(event: WeirEvent): number {
  let size = sizes.get(event);
  if (size === undefined) sizes.set(event, size = EVENT_BYTES + dataSize(event.data));
  return size;
}

function dataSize(data: unknown): number {
  if (data instanceof Uint8Array) return data.length;
  if (typeof data === "string") return 2 * data.length;
  return typeof data === "object" && data !== null ? 2 * textOf(data).length : 8;
}
