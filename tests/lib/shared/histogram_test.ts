import assert from "node:assert/strict";
import fc from "fast-check";
import { bucketOf, durationOf, Histogram, quantiles } from "../../../lib/shared/histogram.ts";

/** Durations between the first bucket and the last. */
const durations = fc.array(fc.double({ min: 0.01, max: 60_000, noNaN: true }), {
  minLength: 1,
  maxLength: 300,
});
const WANTED = [0.01, 0.07, 0.5, 0.95, 0.99, 1];

/** Returns the quantile by nearest rank. */
function quantileOf(sorted: readonly number[], quantile: number): number {
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length - 1e-9) - 1)] ?? NaN;
}

function assertNear(actual: number | undefined, expected: number): void {
  const error = Math.abs((actual ?? NaN) / expected - 1);
  assert.ok(error <= 0.0451, `${actual} is ${error * 100} % from ${expected}`);
}

Deno.test("quantiles() are within 4.5 % of the quantiles of the sorted durations", () => {
  fc.assert(fc.property(durations, (values) => {
    const histogram = new Histogram();
    for (const value of values) histogram.record(value);
    const found = quantiles(histogram.take(), WANTED);
    const sorted = values.toSorted((a, b) => a - b);
    WANTED.forEach((wanted, i) => assertNear(found[i], quantileOf(sorted, wanted)));
  }));
});

Deno.test("the sum of histograms is the histogram of all their durations", () => {
  fc.assert(fc.property(durations, durations, (one, two) => {
    const sum = new Histogram();
    for (const values of [one, two]) {
      const part = new Histogram();
      for (const value of values) part.record(value);
      sum.add(part.take());
    }
    const whole = new Histogram();
    for (const value of [...one, ...two]) whole.record(value);
    assert.deepEqual(sum.take(), whole.take());
  }));
});

Deno.test("record() counts a duration once, or as often as its count", () => {
  const histogram = new Histogram();
  histogram.record(1, 99);
  histogram.record(100);
  const [p50 = NaN, p99 = NaN, p100 = NaN] = quantiles(histogram.take(), [0.5, 0.99, 1]);
  assertNear(p50, 1);
  assertNear(p99, 1);
  assertNear(p100, 100);
  assert.deepEqual(histogram.take(), []);
  assert.deepEqual(quantiles([], [0.5]), []);
});

Deno.test("durations that are invalid or beyond all buckets count in the first or last one", () => {
  for (const short of [NaN, -1, 0, 0.001, 0.01]) assert.equal(bucketOf(short), 0);
  assert.equal(bucketOf(Infinity), bucketOf(100_000));
  assert.ok(durationOf(bucketOf(Infinity)) > 60_000);
});
