import { signal } from "@preact/signals";
import type { ConnectionState, Listening, Weir, WeirEvent } from "../../lib/client/api.ts";
import { WeirError } from "../../lib/client/client.ts";
import { describe } from "../connection_state.tsx";
import { signedOutReason } from "../sign_in_notice.tsx";
import { type EventFilter, FilteredRows, isFiltering, NO_FILTER } from "./filtered_rows.ts";
import { RateMeter } from "./rate_meter.ts";
import { type ChannelFigures, channelPath, request } from "./requests.ts";
import {
  type NewNotice,
  parsePosition,
  Timeline,
  type TimelineRow,
  type TimelineRows,
} from "./timeline.ts";

/** Events that are read when a channel is opened. */
const HISTORY_EVENTS = 100;

/** Where a feed starts. */
export type FeedStart =
  /**
   * With the events that the server has rendered. Earlier ones, back to `first`, are read on
   * demand.
   */
  | {
    readonly from: "server";
    readonly first: string | null;
    readonly events: readonly WeirEvent[];
    readonly cursor: string;
  }
  /** With the channel's newest events. Earlier ones are read on demand. */
  | { readonly from: "newest" }
  /** After a cursor, `earliest` or `latest`, without anything before it. */
  | { readonly from: "cursor"; readonly after: string };

/** The events of one channel: new ones as they arrive and earlier ones on demand. */
export class ChannelFeed implements Disposable {
  readonly channel: string;
  readonly timeline = new Timeline();
  /** Changes at most once a frame, when the page has to render again. */
  readonly version = signal(0);
  readonly cursor = signal("");
  readonly isPaused = signal(false);
  /** Events per second that arrive. */
  readonly rate = signal(0);
  /** Says why reading has failed. */
  readonly problem = signal<string>();
  readonly filter = signal<EventFilter>(NO_FILTER);
  readonly isSearching = signal(false);
  /** Rows removed from the start so far. */
  removed = 0;
  /** The newest notice, for screen readers. */
  readonly announcement = signal("");

  readonly #start: FeedStart;
  readonly #meter = new RateMeter();
  readonly #types = new Set<string>();
  /** The cursor that was reached; `cursor` follows once a frame. */
  #cursorReached = "";
  #matches: FilteredRows | undefined;
  #weir: Weir | undefined;
  #listening: Listening | undefined;
  #unwatch: (() => void) | undefined;
  #wasLost = false;
  #timer: ReturnType<typeof setInterval> | undefined;
  #frame: number | undefined;
  #isReading = false;
  #visibleRange: readonly [number, number] = [0, 0];
  #isDisposed = false;

  constructor(channel: string, start: FeedStart) {
    this.channel = channel;
    this.#start = start;
    if (start.from !== "server") return;
    this.cursor.value = this.#cursorReached = start.cursor;
    this.#addHistory(start.first, start.events, start.cursor);
  }

  /** The rows that pass the filter. */
  get rows(): TimelineRows {
    return this.#matches ?? this.timeline;
  }

  /** The event types seen so far, sorted. */
  get types(): readonly string[] {
    return [...this.#types].sort();
  }

  /** Rows that the filter has not been applied to. */
  get unsearched(): number {
    return this.#matches?.unsearched ?? 0;
  }

  /** Continues reading with this client. */
  async attach(weir: Weir): Promise<void> {
    this.#detach();
    this.#weir = weir;
    this.#timer ??= setInterval(() => this.rate.value = this.#meter.tick(), 1_000);
    this.#unwatch = weir.state.subscribe((state) => this.#onState(state));
    try {
      if (this.#cursorReached === "" && this.#start.from === "newest") await this.#readNewest(weir);
    } catch (cause) {
      if (this.#weir === weir) this.#fail(cause);
      return;
    }
    if (this.#weir === weir && !this.isPaused.value) this.#listen(weir);
  }

  /** Stops reading until `resume()`, which misses no events. */
  pause(): void {
    this.isPaused.value = true;
    this.#listening?.close();
    this.#listening = undefined;
  }

  resume(): void {
    this.isPaused.value = false;
    if (this.#weir !== undefined && this.#listening === undefined) this.#listen(this.#weir);
  }

  setFilter(filter: EventFilter): void {
    this.filter.value = filter;
    this.#matches = isFiltering(filter) ? new FilteredRows(this.timeline, filter) : undefined;
    this.#drawSoon();
  }

  /** Applies the filter to older events. */
  async searchBack(): Promise<void> {
    const matches = this.#matches;
    const range = matches?.next();
    if (matches === undefined || range === undefined || this.isSearching.value) return;
    this.isSearching.value = true;
    try {
      const page = await this.#weir?.history(this.channel, range);
      if (page !== undefined) this.#removeOldest(this.timeline.fill(range, page));
      if (this.#matches === matches) matches.goBack();
    } catch (cause) {
      this.#fail(cause);
    }
    this.isSearching.value = false;
    this.#drawSoon();
  }

  /** Sets which rows are visible, and reads those that are not in memory. */
  setVisibleRange(start: number, end: number): void {
    this.#visibleRange = [start, end];
    if (!this.#isReading) void this.#readVisible();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#detach();
    clearInterval(this.#timer);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
  }

  #detach(): void {
    this.#listening?.close();
    this.#listening = undefined;
    this.#unwatch?.();
    this.#weir = undefined;
  }

  async #readNewest(weir: Weir): Promise<void> {
    const page = await weir.history(this.channel, { limit: HISTORY_EVENTS });
    const { events, cursor, isComplete } = page;
    let first = events[0]?.offset ?? null;
    if (!isComplete) {
      const figures = await request<ChannelFigures>("GET", channelPath(this.channel));
      if (figures.ok) first = figures.body.first;
    }
    if (this.#weir !== weir) return;
    this.#cursorReached = cursor;
    this.#addHistory(first, events, cursor);
    this.#drawSoon();
  }

  #addHistory(first: string | null, events: readonly WeirEvent[], cursor: string): void {
    const [from, to] = [parsePosition(first ?? ""), parsePosition(cursor)];
    if (from !== undefined && to !== undefined && from.epoch === to.epoch) {
      this.timeline.addRange(to.epoch, from.sequence, to.sequence);
      this.timeline.setEvents(events);
    } else {
      for (const event of events) this.timeline.append(event);
    }
    for (const { type } of events) this.#types.add(type);
  }

  #listen(weir: Weir): void {
    const start = this.#start.from === "cursor" ? this.#start.after : "latest";
    this.problem.value = undefined;
    this.#listening = weir.listen(this.channel, {
      after: this.#cursorReached === "" ? start : this.#cursorReached,
      onStart: (cursor) => this.#moveCursor(cursor),
      onEvent: (event, cursor) => {
        this.#meter.count();
        this.#types.add(event.type);
        if (this.timeline.append(event)) {
          this.#matches?.push({ kind: "event", key: event.offset, event });
        }
        this.#moveCursor(cursor);
      },
      onGap: (gap) => this.#addNotice({ kind: "gap", gap }),
      onEphemeral: (event) => {
        this.#meter.count();
        this.#types.add(event.type);
        this.#addNotice({ kind: "ephemeral", event });
      },
      onError: (error) => this.#fail(error),
    });
  }

  #moveCursor(cursor: string): void {
    this.#cursorReached = cursor;
    this.#drawSoon();
  }

  #onState(state: ConnectionState): void {
    if (this.isPaused.value) return;
    if (state.status === "reconnecting" && !this.#wasLost) {
      this.#wasLost = true;
      this.#addNotice({
        kind: "connection",
        text: `Connection lost: ${state.error.detail}`,
      });
    } else if (state.status === "offline" && !this.#wasLost) {
      this.#wasLost = true;
      this.#addNotice({ kind: "connection", text: "The browser is offline." });
    } else if (state.status === "open" && this.#wasLost) {
      this.#wasLost = false;
      this.#addNotice({
        kind: "connection",
        text: `${describe(state)} again. Reading resumed where it stopped.`,
      });
      this.setVisibleRange(...this.#visibleRange); // reads what failed meanwhile
    } else if (state.status === "closed" && state.error !== undefined) {
      this.#fail(state.error);
    }
  }

  #addNotice(notice: NewNotice): void {
    const row: TimelineRow = this.timeline.addNotice(notice);
    this.#matches?.push(row);
    if (notice.kind === "connection") this.announcement.value = notice.text;
    if (notice.kind === "gap") this.announcement.value = "Events are missing.";
    this.#drawSoon();
  }

  #fail(cause: unknown): void {
    if (this.#isDisposed) return;
    // The page already says that the visitor was signed out.
    if (this.#weir !== undefined && signedOutReason(this.#weir.state.value) !== undefined) return;
    this.problem.value = cause instanceof WeirError ? cause.detail : String(cause);
  }

  async #readVisible(): Promise<void> {
    this.#isReading = true;
    try {
      for (;;) {
        const weir = this.#weir;
        const range = this.#nextUnloaded();
        if (range === undefined || weir === undefined) return;
        const page = await weir.history(this.channel, range);
        if (this.#isDisposed) return;
        this.#removeOldest(this.timeline.fill(range, page));
        this.#drawSoon();
      }
    } catch (cause) {
      this.#fail(cause);
    } finally {
      this.#isReading = false;
    }
  }

  #nextUnloaded() {
    const [start, end] = this.#visibleRange;
    if (this.#matches === undefined) return this.timeline.unloaded(start, end);
    for (let index = start; index < end; index++) {
      const row = this.#matches.at(index);
      if (row?.kind !== "unloaded") continue;
      const line = this.timeline.indexOf(row.key);
      return this.timeline.unloaded(line, line + 1);
    }
    return undefined;
  }

  #removeOldest(removed: number): void {
    if (removed === 0) return;
    this.#matches?.shift(removed);
    if (this.#matches === undefined) this.removed += removed;
  }

  /** Renders the page at most once a frame. */
  #drawSoon(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.cursor.value = this.#cursorReached;
      this.version.value++;
    });
  }
}
