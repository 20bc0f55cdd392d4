import assert from "node:assert/strict";
import { IsolateMetrics } from "../../../lib/metrics/isolate_metrics.ts";
import { gauge, value } from "../../../lib/metrics/metric.ts";
import { until } from "../../support/until.ts";
import "../../support/open_broadcast_channel.ts";

/** Isolates whose metric is their number, from 1 on. */
function isolates(count: number, timeoutMs: number) {
  const name = crypto.randomUUID();
  const stack = new DisposableStack();
  const all = Array.from({ length: count }, (_, i) => {
    const read = () => [gauge("number", "Number.", value(i + 1))];
    const isolate = stack.use(new IsolateMetrics({ read, timeoutMs }));
    isolate.share(name, () => count - 1);
    return isolate;
  });
  return { all, [Symbol.dispose]: () => stack[Symbol.dispose]() };
}

async function numbersOf(isolate: IsolateMetrics | undefined): Promise<readonly number[]> {
  const found = await isolate?.collect() ?? [];
  return found.flatMap((metrics) => metrics.map(({ values }) => values[0]?.value ?? NaN)).sort();
}

Deno.test("each isolate collects the metrics of all", async () => {
  using group = isolates(3, 60_000);
  const asked = await Promise.all(group.all.map(numbersOf));
  assert.deepEqual(asked, [[1, 2, 3], [1, 2, 3], [1, 2, 3]]);
});

Deno.test("an isolate without others answers alone", async () => {
  using isolate = new IsolateMetrics({ read: () => [gauge("number", "Number.", value(1))] });
  assert.deepEqual(await numbersOf(isolate), [1]);
});

Deno.test("an isolate that does not answer in time counts with what is last known of it", async () => {
  using group = isolates(2, 10);
  const [first, second] = group.all;
  await until("both are heard", async () => (await numbersOf(first)).length === 2);
  second?.[Symbol.dispose]();
  assert.deepEqual(await numbersOf(first), [1, 2]);
});
