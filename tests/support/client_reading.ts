import assert from "node:assert/strict";

/** `hold`: as `iterate`, but by an application that takes nothing while it is told to wait. */
export type Style = "iterate" | "listen" | "hold";
export type Start = "earliest" | "latest" | { readonly behind: number };

/** One subscription, over all clients that were given its cursor. */
export interface Reading {
  readonly channel: string;
  readonly style: Style;
  /** How many events were in the channel when it was asked for. */
  readonly known: number;
  /** The offset behind which it begins; undefined until the client says where `latest` was. */
  start: string | undefined;
  after: string;
  readonly offsets: string[];
  /** Where it is; undefined until reading has begun. */
  cursor: () => string | undefined;
  /** Ends it, and says once it has ended. Undefined where it has. */
  end: (() => Promise<void>) | undefined;
  /** What it ended with by itself. */
  failure: unknown;
}

/** That it was told a part of the log without a hole and a repeat, from where it had to begin. */
export function checkReading(reading: Reading, log: readonly string[]): void {
  const { channel, style, known, start, offsets, end, failure } = reading;
  const name = `${style} ${channel} after ${start ?? "latest"}`;
  if (failure !== undefined) throw new Error(`${name} failed`, { cause: failure });
  if (start === undefined && offsets.length === 0) return; // it ended before it began
  const begin = start === undefined
    ? log.indexOf(offsets[0] ?? "")
    : start === "earliest"
    ? 0
    : log.findIndex((offset) => offset > start);
  const from = begin < 0 ? log.length : begin;
  if (start === undefined) assert.ok(from >= known, `${name} has what was there before`);
  const expected = log.slice(from, end === undefined ? from + offsets.length : undefined);
  assert.deepEqual(offsets, expected, name);
}
