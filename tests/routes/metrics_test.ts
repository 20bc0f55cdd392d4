import assert from "node:assert/strict";
import { assertRefused, call } from "../support/calls.ts";
import { publishEphemeral } from "../support/ephemeral_events.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";
import { assertSamples, readMetrics } from "../support/metrics.ts";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { until } from "../support/until.ts";

Deno.test("metrics count connections, publishes and deliveries", async () => {
  await using local = await LocalServer.start();
  const { url, server } = local;
  const channel = newChannel();
  await publishNumbers(url, channel, 3);
  await using live = await SseClient.open(readUrl(url, [channel]));
  await using late = await SseClient.open(readUrl(url, [channel], { after: "earliest" }));
  await until("both are live", () => server.hub.subscriptions.live === 2);
  await publishNumbers(url, channel, 2);
  for (let i = 0; i < 2; i++) await live.next();
  for (let i = 0; i < 5; i++) await late.next();
  const refused = await call(url, "/v1/channels/$no/events", { method: "POST", body: "1" });
  assertRefused(refused, 400, "channel_reserved");
  const { taken } = server.figures;
  await until("a sample was taken", () => server.figures.taken > taken);
  const samples = await readMetrics(url);
  assertSamples(samples, {
    'weir_connections{transport="sse"}': 2,
    'weir_connections{transport="websocket"}': 0,
    'weir_subscriptions{state="live"}': 2,
    'weir_subscriptions{state="catching_up"}': 0,
    "weir_lag_events": 0,
    'weir_publishes_total{result="accepted"}': 5,
    'weir_publishes_total{result="refused"}': 1,
    "weir_events_stored_total": 5,
    'weir_deliveries_total{path="live"}': 4,
    'weir_deliveries_total{path="replay"}': 3,
    "weir_publish_duration_seconds_count": 5,
    "weir_delivery_duration_seconds_count": 4,
    "weir_isolates": 1,
  });
  assert.ok((samples.get("process_resident_memory_bytes") ?? 0) > 1e6);
  assert.ok((samples.get("process_cpu_seconds_total") ?? 0) > 0);
  assert.ok((samples.get("weir_event_loop_delay_seconds_count") ?? 0) > 0);
});

Deno.test("metrics count resumes, gaps, goodbyes, refusals, commits and ephemeral events", async () => {
  await using local = await LocalServer.start();
  const { url, server } = local;
  const channel = newChannel();
  const { offset: gone } = await publish(url, channel, "old");
  await call(url, `/v1/channels/${channel}`, { method: "DELETE" });
  const { offset: first } = await publish(url, channel, "first");
  const { offset: last } = await publish(url, channel, "last");
  await using _gap = await SseClient.open(readUrl(url, [channel], { after: gone }));
  await using _replayed = await SseClient.open(readUrl(url, [channel], { after: first }));
  await using socket = await SocketClient.open(url);
  socket.send({ op: "subscribe", ref: 1, channel, after: last });
  await socket.until("subscribed");
  await until("all are live", () => server.hub.subscriptions.live === 3);
  await publishEphemeral(url, channel, "now");
  await socket.until("ephemeral");
  for (let ref = 0; ref <= 300; ref++) socket.send({ op: "ping", ref });
  assert.equal((await socket.until("error"))["code"], "rate_limited");
  assertRefused(await call(url, "/nothing"), 404, "not_found");
  assertSamples(await readMetrics(url), {
    'weir_resumes_total{result="current"}': 1,
    'weir_resumes_total{result="replayed"}': 1,
    'weir_resumes_total{result="gap"}': 1,
    'weir_gaps_total{reason="recreated"}': 1,
    'weir_gaps_total{reason="expired"}': 0,
    "weir_ephemeral_events_total": 1,
    'weir_ephemeral_deliveries_total{result="sent"}': 3,
    'weir_ephemeral_deliveries_total{result="dropped"}': 0,
    'weir_refusals_total{code="rate_limited"}': 1,
    'weir_refusals_total{code="not_found"}': 1,
    'weir_rate_limited_total{scope="connection",limit="messages"}': 1,
    'weir_rate_limited_total{scope="tenant",limit="publishes"}': 0,
    'weir_commits_total{result="stored"}': 3,
    'weir_commits_total{result="conflict"}': 0,
    'weir_commit_batch_events_bucket{le="1"}': 3,
    "weir_commit_batch_events_sum": 3,
    'weir_store_errors_total{operation="commit"}': 0,
    'weir_goodbyes_total{reason="stopping"}': 0,
  });
  await server.disconnectClients();
  assertSamples(await readMetrics(url), { 'weir_goodbyes_total{reason="stopping"}': 3 });
});

Deno.test("metrics count ephemeral publishes like others, accepted and refused", async () => {
  await using local = await LocalServer.start({ WEIR_METRICS_TENANTS: "default" });
  const { url } = local;
  const channel = newChannel();
  await publish(url, channel, "stored");
  await publishEphemeral(url, channel, "now");
  const lines = [channel, "$no"].map((channel) =>
    `${JSON.stringify({ channel, data: 1, ephemeral: true })}\n`
  );
  const answer = await fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { "Content-Type": "application/x-ndjson" },
    body: lines.join(""),
  });
  await answer.text();
  await using socket = await SocketClient.open(url);
  socket.send({ op: "publish", ref: 1, channel, data: 1, ephemeral: true });
  await socket.until("ack");
  socket.send({ op: "publish", ref: 2, channel, data: 1, ephemeral: true, key: "k" });
  await socket.until("error");
  const samples = await readMetrics(url);
  assert.equal(samples.get('weir_publishes_total{result="accepted"}'), 4);
  assert.equal(samples.get('weir_publishes_total{result="refused"}'), 2);
  assert.equal(samples.get('weir_tenant_publishes_total{tenant="default"}'), 4);
  assert.equal(samples.get("weir_ephemeral_events_total"), 3);
  assert.equal(samples.get("weir_events_stored_total"), 1);
});

Deno.test("what the server publishes itself is stored, but is no publish", async () => {
  await using weir = await guardedLocal();
  const headers = bearer(await weir.token({ subscribe: ["**", "$**"] }));
  const refused = await call(weir.url, "/v1/channels/a/events", {
    method: "POST",
    body: "1",
    headers,
  });
  assertRefused(refused, 403, "forbidden");
  const audited = await call(weir.url, "/v1/channels/$audit/events?wait=60&after=earliest", {
    headers,
  });
  assert.equal(audited.json.events.length, 1);
  const samples = await readMetrics(weir.url, bearer(await weir.token({ metrics: true })));
  assert.equal(samples.get('weir_publishes_total{result="accepted"}'), 0);
  assert.equal(samples.get('weir_publishes_total{result="refused"}'), 1);
  assert.equal(samples.get("weir_events_stored_total"), 1);
  assert.equal(samples.get("weir_publish_duration_seconds_count"), 0);
});

Deno.test("metrics count what long polls find at once", async () => {
  await using local = await LocalServer.start();
  const { url } = local;
  const [a, b] = [newChannel(), newChannel()].sort() as [string, string];
  const { offset: gone } = await publish(url, a, "old");
  await call(url, `/v1/channels/${a}`, { method: "DELETE" });
  const { offset: first } = await publish(url, a, "first");
  await publishNumbers(url, a, 3);
  const poll = (path: string) => call(url, `${path}&wait=60`);
  const { json: { cursor } } = await call(url, `/v1/events?channel=${a}&channel=${b}`);
  await publishNumbers(url, b, 2);
  await poll(`/v1/channels/${a}/events?after=${first}&limit=2`); // 2
  await poll(`/v1/channels/${a}/events?after=${gone}`); // 4, after a gap
  await poll(`/v1/channels/${a}/events?after=earliest`); // 4, but nothing is continued
  await poll(`/v1/events?channel=${a}&channel=${b}&after=${cursor}`); // 2, of one channel
  const samples = await readMetrics(url);
  assertSamples(samples, {
    'weir_deliveries_total{path="replay"}': 12,
    'weir_resumes_total{result="replayed"}': 2,
    'weir_resumes_total{result="gap"}': 1,
    'weir_resumes_total{result="current"}': 0,
    'weir_gaps_total{reason="recreated"}': 1,
  });
});

Deno.test("metrics are in Prometheus' text format, and in OpenMetrics for those who prefer it", async () => {
  await using server = await LocalServer.start();
  const prometheus = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5,*/*;q=0.1";
  const cases: readonly (readonly [string, string])[] = [
    ["*/*", "text/plain; version=0.0.4; charset=utf-8"],
    ["text/html,*/*;q=0.8", "text/plain; version=0.0.4; charset=utf-8"],
    [prometheus, "application/openmetrics-text; version=1.0.0; charset=utf-8"],
    ["application/openmetrics-text;q=0.5,text/plain", "text/plain; version=0.0.4; charset=utf-8"],
    ["application/openmetrics-text;q=0", "text/plain; version=0.0.4; charset=utf-8"],
  ];
  for (const [accept, type] of cases) {
    const { status, headers, text } = await call(server.url, "/metrics", {
      headers: { Accept: accept },
    });
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), type, accept);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(text.endsWith("# EOF\n"), type.startsWith("application/"), accept);
  }
  const head = await call(server.url, "/metrics", { method: "HEAD" });
  assert.deepEqual([head.status, head.text], [200, ""]);
});

Deno.test("tenants that are named have metrics of their own", async () => {
  await using local = await LocalServer.start({ WEIR_METRICS_TENANTS: "default,acme" });
  const channel = newChannel();
  await publishNumbers(local.url, channel, 3);
  await using reader = await SseClient.open(readUrl(local.url, [channel], { after: "earliest" }));
  for (let i = 0; i < 3; i++) await reader.next();
  const samples = await readMetrics(local.url);
  for (const metric of ["publishes", "events_stored", "deliveries"]) {
    const found = ["default", "acme", "$other"].map((tenant) =>
      samples.get(`weir_tenant_${metric}_total{tenant="${tenant}"}`)
    );
    assert.deepEqual(found, [3, 0, 0], metric);
  }
});

Deno.test("docs/deploy.md has a row for each metric", async () => {
  await using server = await LocalServer.start({ WEIR_METRICS_TENANTS: "acme" });
  const page = await Deno.readTextFile(new URL("../../docs/deploy.md", import.meta.url));
  const [, table = ""] = /^<!-- metrics -->\n(.*?)^No label/ms.exec(page) ?? [];
  const rows = [...table.matchAll(/^\| `(\w+)` *\| (\w+)/gm)].map(([, ...row]) => row.join(" "));
  const { text } = await call(server.url, "/metrics");
  const served = [...text.matchAll(/^# TYPE (.*)$/gm)].map(([, metric]) => metric);
  assert.deepEqual(rows.sort(), served.sort());
});
