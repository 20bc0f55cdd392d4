import { formatCount, formatDuration, formatRate } from "../format.ts";
import type { Percentiles, Summary } from "./summary.ts";

/** One line of a chart. */
export interface ChartLine {
  readonly label: string;
  /** Returns undefined if the summary has no value. */
  readonly read: (summary: Summary) => number | undefined;
}

/** One chart: lines that share a scale. */
export interface ChartDefinition {
  readonly id: string;
  readonly title: string;
  /** Explains the values in a few words. */
  readonly about: string;
  readonly lines: readonly ChartLine[];
  readonly format: (value: number) => string;
  /** The scale goes up to at least this value, so that small values do not fill the chart. */
  readonly minScale: number;
  readonly isDuration?: boolean;
  /** Whether the area below each line is tinted. */
  readonly isFilled?: boolean;
}

export const CHARTS: readonly ChartDefinition[] = [
  {
    id: "connections",
    title: "Connections",
    about: "open, by transport",
    format: formatCount,
    minScale: 4,
    isFilled: true,
    lines: [
      { label: "WebSocket", read: ({ websocket }) => websocket },
      { label: "SSE", read: ({ sse }) => sse },
      { label: "Long poll", read: ({ longPoll }) => longPoll },
      { label: "WebTransport", read: ({ webtransport }) => webtransport },
    ],
  },
  {
    id: "publishes",
    title: "Publishes",
    about: "per second",
    format: formatRate,
    minScale: 4,
    isFilled: true,
    lines: [
      { label: "Accepted", read: ({ accepted }) => accepted },
      { label: "Refused", read: ({ refused }) => refused },
      { label: "Ephemeral", read: ({ ephemeral }) => ephemeral },
    ],
  },
  {
    id: "deliveries",
    title: "Deliveries",
    about: "events per second",
    format: formatRate,
    minScale: 4,
    isFilled: true,
    lines: [
      { label: "Live", read: ({ delivered }) => delivered },
      { label: "Catching up", read: ({ caughtUp }) => caughtUp },
    ],
  },
  spread("publish", "Publish latency", "request to durable answer"),
  spread("delivery", "Delivery latency", "commit to subscribers"),
  spread("commit", "KV commit time", "in the store"),
  {
    id: "lag",
    title: "Replay lag",
    about: "of the slowest reader",
    format: formatCount,
    minScale: 4,
    isFilled: true,
    lines: [{ label: "Events behind", read: ({ lag }) => lag }],
  },
  {
    id: "subscriptions",
    title: "Subscriptions",
    about: "live or reading the log",
    format: formatCount,
    minScale: 4,
    isFilled: true,
    lines: [
      { label: "Live", read: ({ live }) => live },
      { label: "Catching up", read: ({ catchingUp }) => catchingUp },
    ],
  },
  spread("eventLoop", "Event-loop delay", "how late timers are"),
];

function spread(
  id: "publish" | "delivery" | "commit" | "eventLoop",
  title: string,
  about: string,
): ChartDefinition {
  const line = (label: keyof Percentiles): ChartLine => ({
    label,
    read: (summary) => summary[id]?.[label],
  });
  const lines = [line("p50"), line("p95"), line("p99")];
  return { id, title, about, lines, format: formatDuration, minScale: 2, isDuration: true };
}

/**
 * Returns the values of a line, one per summary. The line breaks at null: the value is unknown, or
 * nothing happened for more than `bridged` steps. It continues across undefined: nothing happened
 * for a moment.
 */
export function valuesOf(
  { read }: ChartLine,
  summaries: readonly (Summary | undefined)[],
  bridged: number,
): readonly (number | null | undefined)[] {
  const values = summaries.map((summary) => summary === undefined ? null : read(summary));
  for (let at = 0; at < values.length;) {
    let end = at;
    while (end < values.length && values[end] === undefined) end++;
    const isBridge = end - at <= bridged && isNumber(values[at - 1]) && isNumber(values[end]);
    if (!isBridge) values.fill(null, at, end);
    at = end + 1;
  }
  return values;
}

/** Returns the indexes of values without a neighbor, which need a point to be visible. */
export function isolatedPoints(values: readonly (number | null | undefined)[]): readonly number[] {
  return values.flatMap((value, at) => {
    if (!isNumber(value)) return [];
    return isLineEnd(values, at, -1) && isLineEnd(values, at, 1) ? [at] : [];
  });
}

function isLineEnd(
  values: readonly (number | null | undefined)[],
  at: number,
  step: 1 | -1,
): boolean {
  let next = at + step;
  while (next >= 0 && next < values.length && values[next] === undefined) next += step;
  return !isNumber(values[next]);
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === "number";
}

/** A period that the charts show. */
export interface TimeSpan {
  readonly minutes: number;
  /** Milliseconds per point. */
  readonly step: number;
}

const SHORT_SPAN: TimeSpan = { minutes: 2, step: 1_000 };
export const LONGER_SPAN: TimeSpan = { minutes: 10, step: 2_000 };
export const SPANS: readonly TimeSpan[] = [SHORT_SPAN, LONGER_SPAN, { minutes: 60, step: 15_000 }];

/** Returns the span that is shown before the visitor chooses one: short while most would be empty. */
export function firstSpan(historyMs: number): TimeSpan {
  return historyMs < spanMs(LONGER_SPAN) / 2 ? SHORT_SPAN : LONGER_SPAN;
}

export function spanMs({ minutes }: TimeSpan): number {
  return minutes * 60_000;
}
