import assert from "node:assert/strict";
import fc from "fast-check";
import { Samples } from "../../../islands/dashboard/samples.ts";
import {
  connectionsOf,
  findBreaks,
  summarize,
  summarizeGrid,
} from "../../../islands/dashboard/summary.ts";
import type { Sample } from "../../../lib/shared/figures.ts";
import { bucketOf } from "../../../lib/shared/histogram.ts";
import { sampleAt, START } from "../../support/figure_samples.ts";

function samplesOf(...all: readonly Sample[]): Samples {
  const samples = new Samples();
  for (const sample of all) samples.add(sample);
  return samples;
}

/** Generates consecutive samples of one isolate with different lengths and counts. */
const following = fc.array(
  fc.record({ ms: fc.integer({ min: 900, max: 1_400 }), events: fc.nat(1_000) }),
  { minLength: 3, maxLength: 60 },
).map((parts) => {
  let end = 0;
  return parts.map(({ ms, events }) => {
    end += ms;
    return sampleAt(end, { seconds: ms / 1_000, events });
  });
});

Deno.test("samples give the same view in any order and with duplicates", () => {
  fc.assert(fc.property(
    following.chain((all) =>
      fc.tuple(
        fc.constant(all),
        fc.shuffledSubarray([...all, ...all], { minLength: 2 * all.length }),
      )
    ),
    fc.constantFrom(1_000, 2_000, 5_000),
    ([inOrder, shuffled], step) => {
      const grid = { start: START, step, count: 30 };
      assert.deepEqual(
        summarizeGrid(samplesOf(...shuffled).all(), grid),
        summarizeGrid(samplesOf(...inOrder).all(), grid),
      );
    },
  ));
});

Deno.test("splitting counts into steps neither loses nor doubles any", () => {
  fc.assert(fc.property(following, fc.constantFrom(500, 1_000, 2_000), (all, step) => {
    const samples = samplesOf(...all);
    const length = samples.last - START;
    const count = Math.floor(length / step);
    const summaries = summarizeGrid(samples.all(), { start: START, step, count });
    assert.ok(summaries.every((summary) => summary !== undefined));
    const events = summaries.reduce((n, summary) => n + (summary?.events ?? 0) * step / 1_000, 0);
    const rest = summarize(samples.all(), START + count * step, START + length);
    const left = (rest?.events ?? 0) * (length - count * step) / 1_000;
    const total = all.reduce((n, sample) => n + sample.events, 0);
    assert.ok(Math.abs(events + left - total) < 1e-6 * (1 + total), `${events + left} of ${total}`);
  }));
});

Deno.test("summarize() adds up isolates, merges durations and takes the largest lag", () => {
  const fast = bucketOf(1);
  const slow = bucketOf(100);
  const durations = { commit: [], delivery: [], eventLoop: [] };
  const samples = samplesOf(
    sampleAt(1_000, {
      connections: { sse: 3, websocket: 1, webtransport: 5, longPoll: 0 },
      subscriptions: { live: 5, catchingUp: 1, lag: 40 },
      publishes: { accepted: 90, refused: 1 },
      durations: { ...durations, publish: [fast, 90] },
    }),
    sampleAt(1_000, {
      isolate: "two",
      connections: { sse: 4, websocket: 0, longPoll: 2 },
      subscriptions: { live: 6, catchingUp: 0, lag: 0 },
      publishes: { accepted: 10, refused: 0 },
      durations: { ...durations, publish: [slow, 10] },
    }),
  );
  const summary = summarize(samples.all(), START, START + 1_000) ?? assert.fail();
  const { isolates, sse, websocket, webtransport, longPoll, live, catchingUp, lag } = summary;
  assert.deepEqual({ isolates, sse, websocket, webtransport, longPoll, live, catchingUp, lag }, {
    isolates: 2,
    sse: 7,
    websocket: 1,
    webtransport: 5, // an isolate of an earlier version has none
    longPoll: 2,
    live: 11,
    catchingUp: 1,
    lag: 40,
  });
  assert.equal(connectionsOf(summary), 15);
  assert.deepEqual([summary.accepted, summary.refused], [100, 1]);
  const { p50 = 0, p95 = 0 } = summary.publish ?? {};
  assert.ok(p50 > 0.95 && p50 < 1.05, `p50 ${p50}`);
  assert.ok(p95 > 95 && p95 < 105, `p95 ${p95}`);
  assert.equal(summary.commit, undefined);
});

Deno.test("a step that is less than half covered has no summary, and short lags count", () => {
  const lag = (events: number) => ({ subscriptions: { live: 1, catchingUp: 1, lag: events } });
  const samples = samplesOf(sampleAt(1_000), sampleAt(2_000, lag(500)), sampleAt(3_000));
  const of = (from: number, to: number) => summarize(samples.all(), START + from, START + to);
  assert.equal(of(0, 3_000)?.lag, 500);
  assert.equal(of(2_000, 4_000)?.lag, 0);
  assert.equal(of(2_000, 4_100), undefined);
  assert.equal(of(3_000, 4_000), undefined);
  assert.equal(of(-5_000, 0), undefined);
});

Deno.test("findBreaks() finds breaks with their reason and ignores jitter", () => {
  const at = (ms: number) => new Date(START + ms).toISOString();
  const samples = samplesOf(
    sampleAt(1_000),
    sampleAt(2_400),
    sampleAt(20_000),
    sampleAt(21_000),
    ...[30_050, 31_050].map((end) => sampleAt(end, { isolate: "new", started: at(29_000) })),
  );
  assert.deepEqual(findBreaks(samples.all(), START, START + 40_000), [
    { from: START + 2_400, to: START + 19_000, reason: "unrecorded" },
    { from: START + 21_000, to: START + 29_050, reason: "restart" },
  ]);
});

Deno.test("there is no break while another isolate has samples", () => {
  const samples = samplesOf(
    ...[1_000, 2_000, 8_000].map((end) => sampleAt(end)),
    ...Array.from({ length: 8 }, (_, i) => sampleAt(500 + 1_000 * i, { isolate: "two" })),
  );
  assert.deepEqual(findBreaks(samples.all(), START, START + 8_000), []);
});

Deno.test("complete is the time up to which all running isolates have samples", () => {
  const samples = samplesOf(sampleAt(10_000), sampleAt(9_200, { isolate: "two" }));
  assert.equal(samples.complete, START + 9_200);
  samples.add(sampleAt(3_000, { isolate: "gone" }));
  assert.equal(samples.complete, START + 9_200);
  assert.deepEqual(
    samples.all().filter((isolate) => samples.isAlive(isolate)).map(({ isolate }) => isolate),
    ["one", "two"],
  );
  samples.forgetBefore(START + 9_500);
  assert.deepEqual(samples.all().map(({ isolate }) => isolate), ["one"]);
  assert.equal(samples.first, START + 9_000);
});
