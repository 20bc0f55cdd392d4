import type { Sample } from "../../lib/shared/figures.ts";

/** The start of what the tests' samples are about, in ms since 1970. */
export const START = Date.UTC(2026, 10, 21, 12);

/** A sample that ends so many ms after {@link START}, with nothing in it but what is given. */
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
