import type { SizeTotals } from "../figures/size_histogram.ts";
import { type HistogramTotals, PER_DOUBLING, SHORTEST_MS } from "../shared/histogram.ts";

type Labels = Readonly<Record<string, string>>;

interface MetricValue {
  readonly value: number;
  readonly labels: Labels;
  /** The name of one part of a histogram. @default the metric's name */
  readonly metricName?: string;
}

/**
 * One metric of one isolate, as plain data: what `prom-client` calls a metric as JSON. `aggregator`
 * says how the values of several isolates become one.
 */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly aggregator: "sum" | "max";
  readonly values: readonly MetricValue[];
}

/** A value for each value of one label. */
type ByLabel = Readonly<Record<string, number>>;

/** Makes a counter, whose name must end in `_total`. */
export function counter(name: string, help: string, ...values: readonly MetricValue[]): Metric {
  return { name, help, type: "counter", aggregator: "sum", values };
}

/** Makes a gauge that is summed up over isolates. */
export function gauge(name: string, help: string, ...values: readonly MetricValue[]): Metric {
  return { name, help, type: "gauge", aggregator: "sum", values };
}

/** Makes a metric of something that the isolates of a process share, or of the worst of them. */
export function largest(metric: Metric): Metric {
  return { ...metric, aggregator: "max" };
}

/** Returns a value without a label. */
export function value(value: number): MetricValue {
  return { value, labels: {} };
}

/** Returns one value for each value of a label. */
export function values(label: string, byLabel: ByLabel): readonly MetricValue[] {
  return Object.entries(byLabel).map(([name, value]) => ({ value, labels: { [label]: name } }));
}

/** Doublings of the shortest duration at the first upper bound, 80 µs, and at the last, 21 s. */
const [FIRST_BOUND, LAST_BOUND] = [3, 21];

/**
 * Makes a histogram of durations in seconds, with an upper bound for each doubling: {@link Histogram}
 * has a bucket that ends there, so no duration is in the wrong one.
 */
export function durations(name: string, help: string, { counts, sumMs }: HistogramTotals): Metric {
  const bounds: [upTo: number, seconds: number][] = [];
  for (let doublings = FIRST_BOUND; doublings <= LAST_BOUND; doublings++) {
    bounds.push([doublings * PER_DOUBLING, (2 ** doublings) / (1_000 / SHORTEST_MS)]);
  }
  return histogram(name, help, { counts, bounds, sum: sumMs / 1_000 });
}

/** Makes a histogram of sizes, with an upper bound for each bucket of {@link SizeTotals}. */
export function sizes(name: string, help: string, { counts, sum }: SizeTotals): Metric {
  const bounds = Array.from(counts.slice(1), (_, at) => [at, 2 ** at] as const);
  return histogram(name, help, { counts, bounds, sum });
}

/**
 * Makes a histogram with classic buckets.
 *
 * @param counts the number of observations by the histogram's own buckets
 * @param bounds for each bucket of the metric, its last own bucket and its upper bound
 */
function histogram(
  name: string,
  help: string,
  { counts, bounds, sum }: {
    readonly counts: Float64Array;
    readonly bounds: readonly (readonly [upTo: number, bound: number])[];
    readonly sum: number;
  },
): Metric {
  const values: MetricValue[] = [];
  const add = (part: string, value: number, labels: Labels = {}) =>
    values.push({ metricName: `${name}_${part}`, value, labels });
  let count = 0;
  let at = 0;
  for (const [upTo, bound] of bounds) {
    for (; at <= upTo; at++) count += counts[at] ?? 0;
    add("bucket", count, { le: String(bound) });
  }
  for (; at < counts.length; at++) count += counts[at] ?? 0;
  add("bucket", count, { le: "+Inf" });
  add("sum", sum);
  add("count", count);
  return { name, help, type: "histogram", aggregator: "sum", values };
}
