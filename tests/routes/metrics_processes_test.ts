import assert from "node:assert/strict";
import { call } from "../support/calls.ts";
import { metricsUrl, readMetrics } from "../support/metrics.ts";
import { PROMETHEUS_MISSING, promtool } from "../support/prometheus.ts";
import { newChannel, publishNumbers } from "../support/publishing.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

Deno.test({
  name: "promtool finds no fault in the metrics",
  ignore: PROMETHEUS_MISSING,
  async fn() {
    await using server = await WeirServer.start();
    const { text } = await call(server.url, "/metrics");
    assert.deepEqual(await promtool(["check", "metrics"], text), { code: 0, output: "" });
    const wrong = await promtool(["check", "metrics"], text.replaceAll("_stored_total", "_stored"));
    assert.match(wrong.output, /weir_events_stored counter metrics should have "_total" suffix/);
  },
});

Deno.test("a scrape shows all isolates of the process, whichever of them answers", async () => {
  await using server = await WeirServer.start({ by: "serve" });
  const { url } = server;
  await until("both isolates are there", async () => {
    return (await readMetrics(url)).get("weir_isolates") === 2;
  });
  await publishNumbers(url, newChannel(), 50);
  // Each request has a connection of its own, so both isolates are asked.
  for (let i = 0; i < 10; i++) {
    const samples = await readMetrics(url, { Connection: "close" });
    assert.equal(samples.get("weir_isolates"), 2);
    assert.equal(samples.get("weir_events_stored_total"), 50);
    assert.equal(samples.get('weir_build_info{version="0.1.0",deno="2.9.6"}'), 1);
  }
});

for (const by of ["run", "serve"] as const) {
  Deno.test(`metrics have a listener of their own with deno ${by}`, async () => {
    await using server = await WeirServer.start({ by, env: { WEIR_METRICS: "127.0.0.1:0" } });
    assert.equal((await call(server.url, "/metrics")).status, 404);
    await publishNumbers(server.url, newChannel(), 5);
    const samples = await readMetrics(await metricsUrl(server));
    assert.equal(samples.get("weir_events_stored_total"), 5);
    const { code } = await server.kill("SIGTERM");
    assert.equal(code, 0);
  });
}

Deno.test("a server does not start if another process has the port of its metrics", async () => {
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const WEIR_METRICS = `127.0.0.1:${(other.addr as Deno.NetAddr).port}`;
  const { code, stderr } = await WeirServer.refused({ env: { WEIR_METRICS } });
  assert.equal(code, 1);
  assert.match(stderr, /Cannot listen for metrics: .*Check WEIR_METRICS\./);
});
