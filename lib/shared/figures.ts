import type { Buckets } from "./histogram.ts";

/** The type of the events of `$figures`; their data is a {@link Sample}. */
export const FIGURES_TYPE = "figures";

/** Milliseconds between two samples of an isolate. */
export const SAMPLE_INTERVAL_MS = 1_000;

/** What one isolate did in about a second, and how it stands at the end of it. */
export interface Sample {
  /** Names the isolate from its start to its end. */
  readonly isolate: string;
  /** RFC 3339, UTC: when the isolate started. */
  readonly started: string;
  /** RFC 3339, UTC: the end of the time that the sample is about. */
  readonly at: string;
  /** How long that time is. All counts are of it; rates are counts by seconds. */
  readonly seconds: number;

  /** Open at the end. Of long polls those that wait. */
  readonly connections: {
    readonly sse: number;
    readonly websocket: number;
    readonly longPoll: number;
  };
  /**
   * At the end. `lag`: the most events that one of those that catch up has still to be given; full
   * of what it has not taken, a slow client catches up too.
   */
  readonly subscriptions: {
    readonly live: number;
    readonly catchingUp: number;
    readonly lag: number;
  };
  /** Requests and messages to publish, of whatever many events. */
  readonly publishes: { readonly accepted: number; readonly refused: number };
  /** Events that were stored: without repeats. */
  readonly events: number;
  /** Ephemeral events that were published. */
  readonly ephemeral: number;
  /** Events that were given to subscribers, each counted once for each of them. */
  readonly deliveries: { readonly live: number; readonly caughtUp: number };
  readonly durations: {
    /** From the log's being asked to its answer, of publishes. */
    readonly publish: Buckets;
    /** Of atomic commits of events. */
    readonly commit: Buckets;
    /** From when the isolate had an event to when it had been given to all who are live. */
    readonly delivery: Buckets;
    /** By how much timers were late: how long the isolate was busy with something else. */
    readonly eventLoop: Buckets;
  };
}
