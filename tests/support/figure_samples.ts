import type { Sample } from "../../lib/shared/figures.ts";

/** When the samples of tests start, in ms since 1970. */
export const START = Date.UTC(2026, 10, 21, 12);

/** Makes a sample that ends `end` ms after {@link START}, empty except for `more`. */
export function sampleAt(end: number, more: Partial<Sample> = {}): Sample {
  return {
    isolate: "one",
    started: new Date(START).toISOString(),
    at: new Date(START + end).toISOString(),
    seconds: 1,
    connections: { sse: 0, websocket: 0, longPoll: 0 },
    subscriptions: { live: 0, catchingUp: 0, lag: 0 },
    publishes: { accepted: 0, refused: 0 },
    events: 0,
    ephemeral: 0,
    deliveries: { live: 0, caughtUp: 0 },
    durations: { publish: [], commit: [], delivery: [], eventLoop: [] },
    ...more,
  };
}
