import assert from "node:assert/strict";
import fc from "fast-check";
import { exposition } from "../../../lib/metrics/exposition.ts";
import { counter, durations, gauge, largest, value, values } from "../../../lib/metrics/metric.ts";
import { Histogram } from "../../../lib/shared/histogram.ts";
import { parseMetrics } from "../../support/metrics.ts";

const isolate = (count: number) => [
  counter("weir_things_total", "Things.", ...values("kind", { a: count, b: 0 })),
  gauge("weir_size", "Size.", value(count)),
  largest(gauge("weir_lag", "Lag.", value(count))),
];

Deno.test("metrics of several isolates are summed up, or are those of the largest", async () => {
  const text = await exposition([isolate(2), isolate(5)], "prometheus");
  assert.equal(
    text,
    `# HELP weir_things_total Things.
# TYPE weir_things_total counter
weir_things_total{kind="a"} 7
weir_things_total{kind="b"} 0

# HELP weir_size Size.
# TYPE weir_size gauge
weir_size 7

# HELP weir_lag Lag.
# TYPE weir_lag gauge
weir_lag 5
`,
  );
});

Deno.test("OpenMetrics names the family of a counter without _total, and has an end", async () => {
  const text = await exposition([isolate(2)], "openMetrics");
  assert.match(text, /^# TYPE weir_things counter\nweir_things_total\{kind="a"\} 2\n/m);
  assert.match(text, /\n# EOF\n$/);
});

Deno.test("a histogram has each duration in the bucket of the next upper bound", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.double({ min: 0.001, max: 100_000, noNaN: true }), { maxLength: 50 }),
    async (milliseconds) => {
      const histogram = new Histogram();
      for (const ms of milliseconds) histogram.record(ms);
      histogram.take(); // what a sample takes is counted all the same
      const metric = durations("weir_time_seconds", "Time.", histogram.totals());
      const samples = parseMetrics(await exposition([[metric]], "prometheus"));
      for (const [name, count] of samples) {
        const [, bound] = /^weir_time_seconds_bucket\{le="([\d.]+)"\}$/.exec(name) ?? [];
        if (bound === undefined) continue;
        assert.equal(count, milliseconds.filter((ms) => ms <= Number(bound) * 1_000).length, name);
      }
      const sum = milliseconds.reduce((sum, ms) => sum + ms, 0);
      assert.ok(Math.abs((samples.get("weir_time_seconds_sum") ?? NaN) * 1_000 - sum) < 0.01);
      assert.equal(samples.get('weir_time_seconds_bucket{le="+Inf"}'), milliseconds.length);
      assert.equal(samples.get("weir_time_seconds_count"), milliseconds.length);
    },
  ));
});
