import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type ChartLine,
  CHARTS,
  firstSpan,
  isolatedPoints,
  SPANS,
  valuesOf,
} from "../../../islands/dashboard/charts.ts";
import { Samples } from "../../../islands/dashboard/samples.ts";
import { summarize, type Summary } from "../../../islands/dashboard/summary.ts";
import { indexAt, timeAt, viewOf } from "../../../islands/dashboard/view.ts";
import { sampleAt, START } from "../../support/figure_samples.ts";

const BASE = summaryOf();

Deno.test("the first span is short while there are few figures", () => {
  const minutes = (history: number) => firstSpan(history * 60_000).minutes;
  assert.deepEqual([0, 2, 4.9].map(minutes), [2, 2, 2]);
  assert.deepEqual([5, 60].map(minutes), [10, 10]);
});

function summaryOf(): Summary {
  const samples = new Samples();
  samples.add(sampleAt(1_000));
  return summarize(samples.all(), START, START + 1_000) ?? assert.fail();
}

/** Makes a step per character: `?` unknown, `-` nothing happened, otherwise its p50. */
function p50s(text: string): readonly (Summary | undefined)[] {
  return text.split("").map((sign) => {
    if (sign === "?") return undefined;
    const value = Number(sign);
    return { ...BASE, publish: sign === "-" ? undefined : { p50: value, p95: 9, p99: 9 } };
  });
}

const LINE: ChartLine = { label: "p50", read: ({ publish }) => publish?.p50 };

Deno.test("a line continues across short pauses and breaks at unknown values", () => {
  const values = (text: string) => valuesOf(LINE, p50s(text), 2);
  assert.deepEqual(values("12"), [1, 2]);
  assert.deepEqual(values("1--2"), [1, undefined, undefined, 2]);
  assert.deepEqual(values("1---2"), [1, null, null, null, 2]);
  assert.deepEqual(values("1-?2"), [1, null, null, 2]);
  assert.deepEqual(values("-1-"), [null, 1, null]);
  assert.deepEqual(values("???"), [null, null, null]);
});

Deno.test("values without neighbors are isolated points", () => {
  const points = (text: string) => isolatedPoints(valuesOf(LINE, p50s(text), 2));
  assert.deepEqual(points("?1?23?"), [1]);
  assert.deepEqual(points("1--2"), []);
  assert.deepEqual(points("1---2"), [0, 4]);
});

Deno.test("valuesOf() keeps every known value", () => {
  const signs = fc.string({
    unit: fc.constantFrom("?", "-", "1", "2", "3"),
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(fc.property(signs, fc.integer({ min: 0, max: 5 }), (text, bridged) => {
    const values = valuesOf(LINE, p50s(text), bridged);
    assert.equal(values.length, text.length);
    text.split("").forEach((sign, i) => {
      if (/\d/.test(sign)) assert.equal(values[i], Number(sign));
      else assert.ok(values[i] === null || (sign === "-" && values[i] === undefined));
    });
  }));
});

Deno.test("every chart formats every summary", () => {
  for (const { lines, format } of CHARTS) {
    for (const { read } of lines) {
      const value = read(BASE);
      if (value !== undefined) assert.ok(format(value).length > 0);
    }
  }
});

Deno.test("a view ends with the last whole step, and indexAt() finds the step of a time", () => {
  const samples = new Samples();
  assert.equal(viewOf(samples, SPANS[0] ?? assert.fail()), undefined);
  for (let end = 1_000; end <= 30_300; end += 1_000) samples.add(sampleAt(end));
  for (const span of SPANS) {
    const { grid, summaries, now } = viewOf(samples, span) ?? assert.fail();
    assert.equal(summaries.length, span.minutes * 60_000 / span.step);
    const end = grid.start + grid.count * grid.step;
    assert.ok(end <= samples.complete && end > samples.complete - span.step);
    assert.ok(now !== undefined);
    for (const index of [0, 1, grid.count - 1]) {
      assert.equal(indexAt(grid, timeAt(grid, index)), index);
    }
    assert.equal(indexAt(grid, 0), 0);
    assert.equal(indexAt(grid, Infinity), grid.count - 1);
  }
});
