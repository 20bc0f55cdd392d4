import assert from "node:assert/strict";

/** `hold` iterates like `iterate`, and takes nothing while the application is on hold. */
export type Style = "iterate" | "listen" | "hold";
export type Start = "earliest" | "latest" | { readonly behind: number };

/** One subscription, continued by all clients that get its cursor. */
export interface Reading {
  readonly channel: string;
  readonly style: Style;
  /** How many events were in the channel when it was requested. */
  readonly known: number;
  /** The offset after which it starts; undefined until the client resolves `latest`. */
  start: string | undefined;
  after: string;
  readonly offsets: string[];
  /** Returns its cursor; undefined until reading has started. */
  cursor: () => string | undefined;
  /** Ends it, and resolves when it has ended. Undefined after that. */
  end: (() => Promise<void>) | undefined;
  /** The error with which it ended. */
  failure: unknown;
}

/** Checks that it got a contiguous part of the log from its start, none missing and none twice. */
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
