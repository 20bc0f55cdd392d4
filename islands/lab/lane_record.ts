import { type Position, positionOf } from "../../lib/shared/offset.ts";

/** The period that a lane shows. */
export const WINDOW_MS = 20_000;
/** The median is taken over this many latencies. */
const MAX_LATENCIES = 100;

/** The duration of a connection, a request or a cut. Times are of `performance.now()`. */
export interface LaneSpan {
  readonly from: number;
  to: number | undefined;
}

interface EventArrival {
  readonly at: number;
  /** Milliseconds since its publish, if this page has published it. */
  readonly latency: number | undefined;
}

/**
 * What one transport did recently, and its totals since the page was opened. It is mutable: it
 * changes with every event and is drawn once a frame.
 */
export class LaneRecord {
  /** Connections and requests of the last {@link WINDOW_MS}. */
  spans: readonly LaneSpan[] = [];
  arrivals: readonly EventArrival[] = [];
  /** Periods in which the lane was cut. */
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

  /** @param latency ms since its publish, if this page has published it */
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

  /** Handles a gap: events that the stream reports as gone do not count as missing. */
  skipped(firstAvailable: string): void {
    const { epoch, sequence } = positionOf(firstAvailable);
    this.#last = { epoch, sequence: sequence - 1 };
  }

  /** The median of the last latencies in ms. */
  get medianLatency(): number | undefined {
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    return sorted[sorted.length >> 1];
  }

  /** Body bytes per event, in both directions. */
  get bytesPerEvent(): number | undefined {
    return this.received === 0 ? undefined : (this.bytesIn + this.bytesOut) / this.received;
  }

  cut(now: number): void {
    this.cuts = [...this.cuts, { from: now, to: undefined }];
  }

  resume(now: number): void {
    const cut = this.cuts.at(-1);
    if (cut !== undefined) cut.to ??= now;
  }

  /** Drops what is older than {@link WINDOW_MS}. */
  trim(now: number): void {
    const start = now - WINDOW_MS;
    const isShown = ({ to = now }: LaneSpan) => to >= start;
    this.spans = this.spans.filter(isShown);
    this.cuts = this.cuts.filter(isShown);
    this.arrivals = this.arrivals.filter(({ at }) => at >= start);
  }
}
