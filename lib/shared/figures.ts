import type { Buckets } from "./histogram.ts";

/** The type of events in `$figures`, whose data is a {@link Sample}. */
export const FIGURES_TYPE = "figures";

/** Time between two samples of an isolate. */
export const SAMPLE_INTERVAL_MS = 1_000;

/** What one isolate did in about a second, and its state at the end. */
export interface Sample {
  /** Identifies the isolate from its start to its end. */
  readonly isolate: string;
  /** When the isolate started (RFC 3339, UTC). */
  readonly started: string;
  /** The end of the sampled time (RFC 3339, UTC). */
  readonly at: string;
  /** Length of the sampled time, which all counts are for. */
  readonly seconds: number;

  /** Connections that are open at the end, and long polls that wait. */
  readonly connections: {
    readonly sse: number;
    readonly websocket: number;
    /** Missing in samples of earlier versions. */
    readonly webtransport?: number;
    readonly longPoll: number;
  };
  /**
   * Subscriptions at the end. `lag` is the number of events that the one furthest behind has not
   * received. A slow client, whose buffers are full, is catching up too.
   */
  readonly subscriptions: {
    readonly live: number;
    readonly catchingUp: number;
    readonly lag: number;
  };
  /** Requests and messages that publish, each with one or more events. */
  readonly publishes: { readonly accepted: number; readonly refused: number };
  /** Events that were stored, without repeats. */
  readonly events: number;
  /** Ephemeral events that were published. */
  readonly ephemeral: number;
  /** Events that were delivered, counted once for each subscriber. */
  readonly deliveries: { readonly live: number; readonly caughtUp: number };
  readonly durations: {
    /** Appends to the log. */
    readonly publish: Buckets;
    /** Commits of events to the store. */
    readonly commit: Buckets;
    /** From an event's arrival in the isolate to its delivery to all live subscriptions. */
    readonly delivery: Buckets;
    /** Lateness of timers, which shows how long the isolate was busy. */
    readonly eventLoop: Buckets;
  };
}
