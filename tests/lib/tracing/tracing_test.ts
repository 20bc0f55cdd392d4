import assert from "node:assert/strict";
import * as api from "@opentelemetry/api";
import { Hub } from "../../../lib/hub/hub.ts";
import { ORIGIN } from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { Tracing } from "../../../lib/tracing/tracing.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { FakeSink } from "../../support/fake_sink.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { pendingAppend } from "../../support/pending_appends.ts";
import { RecordingTracer } from "../../support/recording_tracer.ts";
import { SILENT_DOORBELL } from "../../support/silent_doorbell.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");

function makeTracing(isSampled?: boolean) {
  const tracer = new RecordingTracer(isSampled);
  const named = (name: string) => tracer.spans.filter((span) => span.name === name);
  return { tracing: new Tracing(api, { getTracer: () => tracer }), tracer, named };
}

function traceparent(n: number): string {
  return `00-${"c".repeat(32)}-${n.toString(16).padStart(16, "d")}-01`;
}

Deno.test("each try to commit a publish is a span, with the conflicts before it", async () => {
  const { tracing, tracer, named } = makeTracing();
  await using store = await openEmbedded();
  const log = await store.isolate({ tracer: tracing, doorbell: SILENT_DOORBELL });
  const other = await store.isolate({ doorbell: SILENT_DOORBELL });
  await log.append([draft("a", "1")]);
  await other.append([draft("a", "2")]); // the first isolate does not hear of it
  await log.append([draft("a", "3"), draft("a", "4")]);
  assert.deepEqual(tracer.spans.map(({ name }) => name), [
    "weir.publish",
    "weir.publish.wait",
    "weir.commit",
    "weir.publish",
    "weir.publish.wait",
    "weir.commit",
    "weir.commit",
  ]);
  const tries = named("weir.commit").map(({ attributes }) => [
    attributes["weir.commit.outcome"],
    attributes["weir.commit.conflicts"],
    attributes["weir.commit.events"],
  ]);
  assert.deepEqual(tries, [["committed", 0, 1], ["refused", 0, 2], ["committed", 1, 2]]);
  assert.ok(tracer.spans.every(({ isEnded }) => isEnded));
});

Deno.test("a publish that is not sampled has no further spans", async () => {
  const { tracing, tracer } = makeTracing(false);
  await using store = await openEmbedded();
  const log = await store.isolate({ tracer: tracing });
  await log.append([draft("a", "1")]);
  assert.deepEqual(tracer.spans.map(({ name, isEnded }) => [name, isEnded]), [
    ["weir.publish", true],
  ]);
});

Deno.test("publishes that are committed together have a span each, which says so", async () => {
  const { tracing, named } = makeTracing();
  await using store = await openEmbedded();
  const log = await store.isolate({ tracer: tracing });
  const first = log.append([draft("a", "first")]); // the others wait for its commit
  await Promise.all([first, ...["b", "c"].map((name) => log.append([draft(name, "1")]))]);
  const publishes = named("weir.commit").map(({ attributes }) =>
    attributes["weir.commit.publishes"]
  );
  assert.deepEqual(publishes, [1, 2, 2]);
  const channels = named("weir.publish").map(({ attributes }) =>
    attributes["messaging.destination.name"]
  );
  assert.deepEqual(channels, ["a", "b", "c"]);
});

Deno.test("a publish that fails has its code, and is an error only if the server failed", async () => {
  const { tracing, named } = makeTracing();
  await using store = await openEmbedded();
  const log = await store.isolate({ tracer: tracing });
  await log.append([draft("a", "1", { id: "x" })]);
  await assert.rejects(log.append([draft("a", "2", { id: "x" })]), Problem);
  const [, failed] = named("weir.publish");
  assert.equal(failed?.attributes["error.type"], "idempotency_conflict");
  assert.equal(failed?.error, undefined);
  const answer = Promise.reject(new TypeError("a fault"));
  tracing.queued(pendingAppend(draft("a", "3")), answer);
  await answer.catch(() => {});
  const [, , faulty] = named("weir.publish");
  assert.equal(faulty?.attributes["error.type"], "TypeError");
  assert.notEqual(faulty?.error, undefined);
  assert.equal(faulty?.isEnded, true);
});

Deno.test("a publish links to at most 32 spans of its producers", async () => {
  const { tracing, named } = makeTracing();
  await using store = await openEmbedded();
  const log = await store.isolate({ tracer: tracing });
  const drafts = Array.from({ length: 100 }, (_, n) => {
    return draft("a", "1", n % 2 === 0 ? { traceparent: traceparent(n + 1) } : {});
  });
  await log.append(drafts);
  await log.append([1, 1, 2].map((n) => draft("a", "1", { traceparent: traceparent(n) })));
  assert.deepEqual(named("weir.publish").map(({ options }) => options.links?.length), [32, 2]);
});

Deno.test("what the server publishes by itself is not traced", async () => {
  const { tracing, tracer } = makeTracing();
  await using store = await openEmbedded();
  const log = await store.isolate({ tracer: tracing });
  await log.append([{ ...draft("a", "1"), channelKey: "default/$audit" as typeof A }]);
  assert.deepEqual(tracer.spans, []);
});

Deno.test("a subscription that catches up is a span, each time and with the reason", async () => {
  const { tracing, named } = makeTracing();
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log, tracer: tracing });
  for (let n = 0; n < 3; n++) await log.append([draft("a", `${n}`)]);
  const sink = new FakeSink(4);
  sink.startAt(ORIGIN);
  const subscription = await hub.subscribe(A, "earliest", sink);
  subscription.start();
  await until("it has caught up", () => named("weir.replay")[0]?.isEnded ?? false);
  for (let n = 3; n < 6; n++) await log.append([draft("a", `${n}`)]);
  await until("it is behind", () => named("weir.replay").length === 2);
  assert.equal(named("weir.replay")[1]?.isEnded, false);
  sink.drain(10);
  await until("it is live again", () => named("weir.replay")[1]?.isEnded ?? false);
  for (let n = 6; n < 30; n++) await log.append([draft("a", `${n}`)]);
  await until("it is behind again", () => named("weir.replay").length === 3);
  subscription.close();
  const replays = named("weir.replay").map(({ attributes, isEnded }) => [
    attributes["weir.replay.reason"],
    attributes["weir.replay.live"],
    isEnded,
  ]);
  assert.deepEqual(replays, [["start", true, true], ["slow", true, true], ["slow", false, true]]);
  assert.equal(named("weir.replay")[0]?.attributes["weir.replay.events"], 3);
  await hub.close();
});
