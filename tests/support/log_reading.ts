import type { ChannelKey } from "../../lib/shared/channel.ts";
import type { Gap, LogEvent } from "../../lib/shared/event.ts";
import { ORIGIN, type Position } from "../../lib/shared/offset.ts";
import { Problem, type ProblemCode } from "../../lib/shared/problem.ts";
import type { Log, LogListener } from "../../lib/log/log.ts";
import type { Run } from "../../lib/log/run.ts";
import { until } from "./until.ts";

/** An item of a reader, in order. */
export type Item = { readonly gap: Gap } | { readonly event: LogEvent };

export function itemsOf(runs: readonly Run[]): readonly Item[] {
  return runs.flatMap((run): Item[] => [
    ...run.gap === undefined ? [] : [{ gap: run.gap }],
    ...run.events.map((event) => ({ event })),
  ]);
}

export function eventsOf(runs: readonly Run[]): readonly LogEvent[] {
  return runs.flatMap((run) => run.events);
}

export function dataOf(events: readonly LogEvent[]): readonly (string | Uint8Array)[] {
  return events.map(({ data }) => data);
}

export function sequencesOf(events: readonly LogEvent[]): readonly number[] {
  return events.map(({ sequence }) => sequence);
}

/** Returns 1, 2, 3 … `count`. */
export function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** Reads all pages. */
export async function readRuns(
  log: Log,
  channelKey: ChannelKey,
  after: Position = ORIGIN,
  limit = 1_000,
): Promise<readonly Run[]> {
  const all: Run[] = [];
  for (let at = after;;) {
    const { runs } = await log.read(channelKey, at, limit);
    const last = runs.at(-1);
    if (last === undefined) return all;
    all.push(...runs);
    at = { epoch: last.epoch, sequence: last.last };
  }
}

export async function readEvents(
  log: Log,
  channelKey: ChannelKey,
  after?: Position,
  limit?: number,
): Promise<readonly LogEvent[]> {
  return eventsOf(await readRuns(log, channelKey, after, limit));
}

/** Matches a {@link Problem} with this code, for `assert.rejects`. */
export function problem(code: ProblemCode, index?: number) {
  return (thrown: unknown) => {
    if (!(thrown instanceof Problem)) throw thrown;
    if (thrown.code !== code || thrown.index !== index) throw thrown;
    return true;
  };
}

/** A listener that records its calls, and lets a test wait for more. */
export class Recorder implements LogListener {
  readonly runs: Run[] = [];
  changes = 0;

  /** How often it was called. */
  get calls(): number {
    return this.runs.length + this.changes;
  }

  get position(): Position {
    const last = this.runs.at(-1);
    return last === undefined ? ORIGIN : { epoch: last.epoch, sequence: last.last };
  }

  appended(run: Run): void {
    this.runs.push(run);
  }

  changed(): void {
    this.changes++;
  }

  /** Resolves once `isMet` holds for what was recorded. */
  until(isMet: () => boolean): Promise<void> {
    return until("the listener was called", isMet);
  }
}
