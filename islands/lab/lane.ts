import { type Position, positionOf } from "../../lib/shared/offset.ts";

/** What a lane shows, in ms. */
export const WINDOW_MS = 20_000;
/** Latencies that the median is of. */
const MAX_LATENCIES = 100;

/** A connection or request while it lasts; times are of `performance.now()`. */
export interface LaneSpan {
  readonly from: number;
  to: number | undefined;
}

export interface EventArrival {
  readonly at: number;
  /** Milliseconds from its publish, where this page has published it. */
  readonly latency: number | undefined;
}

/**
 * What one transport did lately, and its figures since the page was opened. Plain and mutable:
 * it changes with every event and is drawn from, up to once a frame.
 */
export class Lane {
  /** Connections and requests of the last {@link WINDOW_MS}. */
  spans: readonly LaneSpan[] = [];
  arrivals: readonly EventArrival[] = [];
  /** While it was cut off. */
  cuts: readonly LaneSpan[] = [];
  requests = 0;
  bytesIn = 0;
  bytesOut = 0;
  received = 0;
  repeated = 0;
  missing = 0;
  latency: number | undefined;
  readonly #latencies: number[] = [];
  #last: Position | undefined;

  begin(now: number): LaneSpan {
    const span: LaneSpan = { from: now, to: undefined };
    this.spans = [...this.spans, span];
    this.requests++;
    return span;
  }

  /** @param latency ms from its publish, where this page has published it. */
  arrived(offset: string, now: number, latency: number | undefined): void {
    const { epoch, sequence } = positionOf(offset);
    if (this.#last?.epoch === epoch) {
      if (sequence <= this.#last.sequence) this.repeated++;
      else this.missing += sequence - this.#last.sequence - 1;
    }
    this.#last = { epoch, sequence };
    this.received++;
    this.arrivals = [...this.arrivals, { at: now, latency }];
    if (latency === undefined) return;
    this.latency = latency;
    this.#latencies.push(latency);
    if (this.#latencies.length > MAX_LATENCIES) this.#latencies.shift();
  }

  /** The stream has said itself that events are gone: those are not missing without a word. */
  skipped(firstAvailable: string): void {
    const { epoch, sequence } = positionOf(firstAvailable);
    this.#last = { epoch, sequence: sequence - 1 };
  }

  /** Of the last hundred, in ms. */
  get medianLatency(): number | undefined {
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    return sorted[sorted.length >> 1];
  }

  /** Body bytes that each event has cost, both ways. */
  get bytesAnEvent(): number | undefined {
    return this.received === 0 ? undefined : (this.bytesIn + this.bytesOut) / this.received;
  }

  cut(now: number): void {
    this.cuts = [...this.cuts, { from: now, to: undefined }];
  }

  resume(now: number): void {
    const cut = this.cuts.at(-1);
    if (cut !== undefined) cut.to ??= now;
  }

  /** Forgets what has left the window. */
  trim(now: number): void {
    const start = now - WINDOW_MS;
    const isShown = ({ to = now }: LaneSpan) => to >= start;
    this.spans = this.spans.filter(isShown);
    this.cuts = this.cuts.filter(isShown);
    this.arrivals = this.arrivals.filter(({ at }) => at >= start);
  }
}
