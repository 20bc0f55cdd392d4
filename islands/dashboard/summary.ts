import type { Sample } from "../../lib/shared/figures.ts";
import { type Buckets, Histogram, quantiles } from "../../lib/shared/histogram.ts";
import { indexAfter, type IsolateSamples, type TimedSample } from "./samples.ts";

/** How a duration is spread, in ms; none where nothing happened. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** What all isolates did together in a stretch of time. Rates are a second. */
export interface Summary {
  readonly isolates: number;
  readonly sse: number;
  readonly websocket: number;
  readonly longPoll: number;
  readonly live: number;
  readonly catchingUp: number;
  /** Of the one that is most behind. */
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

/** Part of a stretch that an isolate has to know to count in it. */
const MIN_COVERAGE = 0.5;

type DurationName = keyof Sample["durations"];

/**
 * What `isolates` did from `start` up to `end` (ms since 1970). Counts are split where a sample
 * lies across an end; durations are added up before their percentiles are taken. Undefined where
 * nobody knows: no isolate has figures of half of that time.
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

/** What one isolate knows of a stretch of time. */
interface IsolateShare {
  /** Its samples that touch it, and how much of each lies in it, from 0 to 1. */
  readonly shares: readonly { readonly sample: Sample; readonly share: number }[];
  /** Those of which the middle lies in it: each sample is inside of one stretch and no other. */
  readonly inside: readonly Sample[];
  readonly last: Sample;
  /** Seconds of the stretch that it knows. */
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

/** Equal stretches of time next to each other. Times are ms since 1970. */
export interface TimeGrid {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** The grid of `count` steps that ends with the last whole step up to `time`. */
export function gridUpTo(time: number, step: number, count: number): TimeGrid {
  return { start: (Math.floor(time / step) - count) * step, step, count };
}

/** The summary of each step of the grid. */
export function summarizeGrid(
  isolates: readonly IsolateSamples[],
  { start, step, count }: TimeGrid,
): readonly (Summary | undefined)[] {
  return Array.from({ length: count }, (_, i) => {
    const from = start + i * step;
    return summarize(isolates, from, from + step);
  });
}

/** A stretch of time, in ms since 1970, that nobody has figures of. */
export interface FiguresBreak {
  readonly from: number;
  readonly to: number;
  /** `restart`: an isolate started at its end; else nobody looked, so nothing was recorded. */
  readonly reason: "restart" | "unrecorded";
}

/** Between samples that follow each other there may be so many ms: clocks and timers are not exact. */
const SLACK_MS = 1_000;

/** The breaks between samples from `start` up to `end`, in their order. */
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
      // Its first sample begins when it has started, give or take a timer.
      const isRestart = isolates.some(({ started }) =>
        started > gap.from && started <= gap.to + SLACK_MS
      );
      breaks.push({ ...gap, reason: isRestart ? "restart" : "unrecorded" });
    }
    known = Math.max(known ?? to, to);
  }
  return breaks;
}
