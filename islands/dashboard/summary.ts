import type { Sample } from "../../lib/shared/figures.ts";
import { type Buckets, Histogram, quantiles } from "../../lib/shared/histogram.ts";
import { indexAfter, type IsolateSamples, type TimedSample } from "./samples.ts";

/** Percentiles of a duration in ms. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** What all isolates did together in a period. Rates are per second. */
export interface Summary {
  readonly isolates: number;
  readonly sse: number;
  readonly websocket: number;
  readonly webtransport: number;
  readonly longPoll: number;
  readonly live: number;
  readonly catchingUp: number;
  /** Events that the slowest subscription is behind. */
  readonly lag: number;
  readonly accepted: number;
  readonly refused: number;
  readonly events: number;
  readonly ephemeral: number;
  readonly delivered: number;
  readonly caughtUp: number;
  readonly publish: Percentiles | undefined;
  readonly commit: Percentiles | undefined;
  readonly delivery: Percentiles | undefined;
  readonly eventLoop: Percentiles | undefined;
}

/** Returns the number of open connections, over all transports. */
export function connectionsOf({ sse, websocket, webtransport, longPoll }: Summary): number {
  return sse + websocket + webtransport + longPoll;
}

/** An isolate counts in a period if its samples cover at least this fraction. */
const MIN_COVERAGE = 0.5;

type DurationName = keyof Sample["durations"];

/**
 * Summarizes what `isolates` did from `start` up to `end` (ms since 1970). A sample that crosses a
 * boundary counts in proportion. Durations are merged before their percentiles are taken. Returns
 * undefined if no isolate has figures for at least half of the period.
 */
export function summarize(
  isolates: readonly IsolateSamples[],
  start: number,
  end: number,
): Summary | undefined {
  const parts = isolates.flatMap(({ samples }) => {
    const part = partOf(samples, start, end);
    return part === undefined ? [] : [part];
  });
  if (parts.length === 0) return undefined;
  const sum = (read: (part: IsolateShare) => number) =>
    parts.reduce((n, part) => n + read(part), 0);
  const rate = (read: (sample: Sample) => number) => sum((part) => rateOf(part, read));
  const stand = (read: (sample: Sample) => number) => sum(({ last }) => read(last));
  const most = (read: (sample: Sample) => number) =>
    Math.max(...parts.flatMap(({ shares }) => shares.map(({ sample }) => read(sample))));
  const spread = (name: DurationName) =>
    percentilesOf(parts.flatMap(({ inside }) => inside.map(({ durations }) => durations[name])));
  return {
    isolates: parts.length,
    sse: stand(({ connections }) => connections.sse),
    websocket: stand(({ connections }) => connections.websocket),
    webtransport: stand(({ connections }) => connections.webtransport ?? 0),
    longPoll: stand(({ connections }) => connections.longPoll),
    live: stand(({ subscriptions }) => subscriptions.live),
    catchingUp: stand(({ subscriptions }) => subscriptions.catchingUp),
    lag: most(({ subscriptions }) => subscriptions.lag),
    accepted: rate(({ publishes }) => publishes.accepted),
    refused: rate(({ publishes }) => publishes.refused),
    events: rate(({ events }) => events),
    ephemeral: rate(({ ephemeral }) => ephemeral),
    delivered: rate(({ deliveries }) => deliveries.live),
    caughtUp: rate(({ deliveries }) => deliveries.caughtUp),
    publish: spread("publish"),
    commit: spread("commit"),
    delivery: spread("delivery"),
    eventLoop: spread("eventLoop"),
  };
}

/** What one isolate contributes to a period. */
interface IsolateShare {
  /** Its samples that overlap the period, with the overlapping fraction of each. */
  readonly shares: readonly { readonly sample: Sample; readonly share: number }[];
  /** Its samples whose middle is in the period: each sample belongs to exactly one period. */
  readonly inside: readonly Sample[];
  readonly last: Sample;
  /** Seconds of the period that its samples cover. */
  readonly seconds: number;
}

function partOf(
  samples: readonly TimedSample[],
  start: number,
  end: number,
): IsolateShare | undefined {
  const shares: { sample: Sample; share: number }[] = [];
  const inside: Sample[] = [];
  let known = 0;
  let last: Sample | undefined;
  for (let at = indexAfter(samples, start); at < samples.length; at++) {
    const timed = samples[at];
    if (timed === undefined || timed.start >= end) break;
    const overlap = Math.min(end, timed.end) - Math.max(start, timed.start);
    if (overlap <= 0) continue;
    last = timed.sample;
    known += overlap;
    shares.push({ sample: last, share: overlap / (timed.end - timed.start) });
    const middle = (timed.start + timed.end) / 2;
    if (middle >= start && middle < end) inside.push(last);
  }
  if (last === undefined || known < MIN_COVERAGE * (end - start)) return undefined;
  return { shares, inside, last, seconds: known / 1_000 };
}

function rateOf({ shares, seconds }: IsolateShare, read: (sample: Sample) => number): number {
  return shares.reduce((n, { sample, share }) => n + share * read(sample), 0) / seconds;
}

function percentilesOf(all: readonly Buckets[]): Percentiles | undefined {
  const histogram = new Histogram();
  for (const buckets of all) histogram.add(buckets);
  const [p50, p95, p99] = quantiles(histogram.take(), [0.5, 0.95, 0.99]);
  if (p50 === undefined || p95 === undefined || p99 === undefined) return undefined;
  return { p50, p95, p99 };
}

/** Consecutive periods of equal length. Times are ms since 1970. */
export interface TimeGrid {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** Returns the grid of `count` steps that ends with the last whole step up to `time`. */
export function gridUpTo(time: number, step: number, count: number): TimeGrid {
  return { start: (Math.floor(time / step) - count) * step, step, count };
}

/** Summarizes each step of the grid. */
export function summarizeGrid(
  isolates: readonly IsolateSamples[],
  { start, step, count }: TimeGrid,
): readonly (Summary | undefined)[] {
  return Array.from({ length: count }, (_, i) => {
    const from = start + i * step;
    return summarize(isolates, from, from + step);
  });
}

/** A period without figures, in ms since 1970. */
export interface FiguresBreak {
  readonly from: number;
  readonly to: number;
  /**
   * `restart`: an isolate started at its end. Otherwise no dashboard was open, so nothing was
   * recorded.
   */
  readonly reason: "restart" | "unrecorded";
}

/** Consecutive samples can be this far apart, because clocks and timers are not exact. */
const SLACK_MS = 1_000;

/** Finds the breaks between samples from `start` up to `end`, in order of time. */
export function findBreaks(
  isolates: readonly IsolateSamples[],
  start: number,
  end: number,
): readonly FiguresBreak[] {
  const timed = isolates.flatMap(({ samples }) => samples.slice(indexAfter(samples, start)))
    .sort((a, b) => a.start - b.start);
  const breaks: FiguresBreak[] = [];
  let known: number | undefined;
  for (const { start: from, end: to } of timed) {
    if (from >= end) break;
    if (known !== undefined && from - known > SLACK_MS) {
      const gap = { from: known, to: from };
      // Its first sample starts when the isolate does, except for the delay of a timer.
      const isRestart = isolates.some(({ started }) =>
        started > gap.from && started <= gap.to + SLACK_MS
      );
      breaks.push({ ...gap, reason: isRestart ? "restart" : "unrecorded" });
    }
    known = Math.max(known ?? to, to);
  }
  return breaks;
}
