import assert from "node:assert/strict";
import type { LoadResult } from "../../bench/options.ts";
import { describe, describeRatios, judge, ratiosOf, table } from "../../bench/report.ts";
import type { Measured, Scenario, Target } from "../../bench/scenarios.ts";
import { median } from "../../bench/usage.ts";

const RESULT: LoadResult = {
  problem: "",
  delivered: 0,
  expected: 0,
  seconds: 1,
  deliveriesPerSecond: 0,
  publishesPerSecond: 100,
  failedPublishes: 0,
  refusedPublishes: 0,
  writersP99Ratio: null,
  failedConnects: 0,
  connectsPerMinute: 0,
  publishP50: null,
  publishP99: null,
  endToEndP50: null,
  endToEndP99: null,
  cpuPerMillion: null,
  kbPerSubscriber: null,
  memoryGrowth: null,
  keptEvents: null,
  storeGrowth: null,
  serverMb: 50,
  peakMb: 60,
  generatorCore: 0.5,
  othersCore: 0,
};

const SCENARIO: Scenario = { name: "test", what: "a test", load: {}, targets: [] };
const FAST: Target = {
  figure: "publishes/s",
  read: ({ result }) => result.publishesPerSecond,
  bound: "≥",
  value: 100,
};

function round(publishesPerSecond: number, bare?: Partial<LoadResult>): Measured {
  const compared: Record<string, LoadResult> = bare === undefined
    ? {}
    : { bare: { ...RESULT, ...bare } };
  return { result: { ...RESULT, publishesPerSecond }, compared };
}

Deno.test("the median round decides whether a target is met", () => {
  const rounds = [round(99), round(500), round(101)];
  const row = judge(SCENARIO, FAST, { rounds, missing: {} });
  assert.deepEqual([row.measured, row.target, row.met], [101, "≥ 100", "yes"]);
  const slower = judge(SCENARIO, FAST, { rounds: [...rounds, round(1), round(1)], missing: {} });
  assert.deepEqual([slower.measured, slower.met], [99, "NO"]);
});

Deno.test("a target that is an upper bound is missed above it", () => {
  const target: Target = { ...FAST, bound: "≤" };
  const judged = [100, 101].map((value) =>
    judge(SCENARIO, target, { rounds: [round(value)], missing: {} }).met
  );
  assert.deepEqual(judged, ["yes", "NO"]);
});

Deno.test("a figure is not judged if any load had a problem", () => {
  for (
    const bad of [
      { ...round(200), result: { ...RESULT, problem: "incomplete" } },
      round(200, { problem: "incomplete" }),
    ]
  ) {
    const { met } = judge(SCENARIO, FAST, { rounds: [round(200), bad], missing: {} });
    assert.equal(met, "not measured");
  }
});

Deno.test("a target against a rival that is missing says so", () => {
  const target: Target = { ...FAST, against: "bare", read: () => null };
  const judged = [{}, { bare: "bare is missing" }].map((missing) =>
    judge(SCENARIO, target, { rounds: [round(1)], missing }).met
  );
  assert.deepEqual(judged, ["not measured", "skipped"]);
});

Deno.test("ratios are of two loads of one round, and of them the median counts", () => {
  const ratios = ratiosOf([
    round(100, { publishesPerSecond: 50, peakMb: 30 }),
    round(200, { publishesPerSecond: 50, peakMb: 30 }),
    round(300, { publishesPerSecond: 100, peakMb: 30 }),
  ]);
  assert.deepEqual(ratios, { bare: { "publishes/s": 3, "MB at the peak": 2 } });
  assert.deepEqual(describeRatios(ratios), ["× bare: publishes/s 3, MB at the peak 2"]);
});

Deno.test("a line says what the server's memory was at its peak", () => {
  assert.match(describe(RESULT), /server 50 MB, 60 at its peak/);
});

Deno.test("a line warns if the generator used nearly a core", () => {
  const warning = /THE GENERATOR MAY BE THE LIMIT/;
  assert.doesNotMatch(describe(RESULT), warning);
  assert.match(describe({ ...RESULT, generatorCore: 0.95 }), warning);
});

Deno.test("a table shows what was not measured as a dash", () => {
  const row = {
    scenario: "a",
    figure: "b",
    measured: null,
    target: "≥ 1",
    met: "skipped",
  } as const;
  const lines = table([row]).split("\n");
  assert.equal(lines.length, 3);
  assert.match(lines[2] ?? "", /^\| a +\| b +\| – +\| ≥ 1 +\| skipped \|$/);
});

Deno.test("the median of an even number of values is between the middle two", () => {
  assert.equal(median([4, 1, 3, null, 2]), 2.5);
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([null]), null);
});
