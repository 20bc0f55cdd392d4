import assert from "node:assert/strict";
import { OtlpReceiver, type ReceivedSpan } from "../support/otlp_receiver.ts";
import { call } from "../support/calls.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { HANDLED, PUBLISHED } from "../support/traced_program.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { until } from "../support/until.ts";

const ROUTE = "POST /v1/channels/:channel/events";
let traces = 0;

/** Returns the traceparent of a trace that no other publish is in, and its ids. */
function newTrace() {
  const traceId = (++traces).toString(16).padStart(32, "a");
  const spanId = traces.toString(16).padStart(16, "b");
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
}

/** Returns the only span of this name that is found by `where`, once it has arrived. */
async function spanOf(
  receiver: OtlpReceiver,
  name: string,
  where: (span: ReceivedSpan) => boolean = () => true,
): Promise<ReceivedSpan> {
  await until(`the span ${name}`, () => receiver.named(name).some(where));
  const found = receiver.named(name).filter(where);
  assert.equal(found.length, 1, name);
  return found[0] ?? assert.fail();
}

Deno.test("a server sends spans of publishes, messages, replays and polls", async () => {
  await using receiver = new OtlpReceiver();
  await using weir = await WeirServer.start({ env: receiver.env("weir") });
  const channel = newChannel();
  const is = (traceId: string) => (span: ReceivedSpan) => span.traceId === traceId;

  const http = newTrace();
  const { offset } = await publish(weir.url, channel, 1, { "traceparent": http.traceparent });
  const request = await spanOf(receiver, ROUTE, is(http.traceId));
  assert.equal(request.parentSpanId, http.spanId);
  assert.equal(request.attributes["http.route"], "/v1/channels/:channel/events");
  const publishing = await spanOf(receiver, "weir.publish", is(http.traceId));
  assert.equal(publishing.parentSpanId, request.spanId);
  assert.equal(publishing.attributes["messaging.destination.name"], channel);
  assert.equal(publishing.attributes["weir.tenant"], "default");
  assert.equal(publishing.attributes["messaging.batch.message_count"], 1);
  assert.equal(publishing.attributes["weir.offset"], offset);
  assert.deepEqual(publishing.links, []);
  const wait = await spanOf(receiver, "weir.publish.wait", is(http.traceId));
  const commit = await spanOf(receiver, "weir.commit", is(http.traceId));
  for (const { parentSpanId } of [wait, commit]) assert.equal(parentSpanId, publishing.spanId);
  assert.ok(publishing.startMs <= wait.startMs && wait.endMs <= commit.startMs);
  assert.ok(commit.startMs <= commit.endMs && commit.endMs <= publishing.endMs);
  assert.equal(commit.attributes["weir.commit.outcome"], "committed");
  assert.equal(commit.attributes["weir.commit.conflicts"], 0);
  assert.equal(commit.attributes["weir.commit.publishes"], 1);
  assert.equal(commit.attributes["weir.commit.events"], 1);

  const [first, second] = [newTrace(), newTrace()];
  const events = [first, second, first].map(({ traceparent }) => ({
    channel,
    data: 2,
    traceparent,
  }));
  await call(weir.url, "/v1/events", { method: "POST", body: JSON.stringify({ events }) });
  const batch = await spanOf(
    receiver,
    "weir.publish",
    ({ attributes }) => attributes["messaging.batch.message_count"] === 3,
  );
  assert.deepEqual(
    batch.links.map(({ traceId, spanId }) => [traceId, spanId]),
    [first, second].map(({ traceId, spanId }) => [traceId, spanId]),
  );

  await using socket = await SocketClient.open(weir.url);
  const sent = newTrace();
  const { traceparent } = sent;
  socket.send({ op: "publish", ref: 1, channel, data: 5, traceparent });
  await socket.until("ack");
  const message = await spanOf(receiver, "weir.message publish", is(sent.traceId));
  assert.equal(message.parentSpanId, sent.spanId);
  const bySocket = await spanOf(receiver, "weir.publish", is(sent.traceId));
  assert.equal(bySocket.parentSpanId, message.spanId);

  socket.send({ op: "publish", ref: 2, channel: ".", data: 5 });
  await socket.until("error");
  const refused = await spanOf(
    receiver,
    "weir.message publish",
    ({ attributes }) => "error.type" in attributes,
  );
  assert.equal(refused.attributes["error.type"], "bad_channel");
  assert.equal(refused.isError, false);

  await using stream = await SseClient.open(readUrl(weir.url, [channel], { after: "earliest" }));
  for (let n = 0; n < 5; n++) await stream.next();
  const replay = await spanOf(receiver, "weir.replay");
  const read = await spanOf(receiver, "GET /v1/channels/:channel/events");
  assert.deepEqual([replay.traceId, replay.parentSpanId], [read.traceId, read.spanId]);
  assert.equal(replay.attributes["weir.replay.events"], 5);
  assert.equal(replay.attributes["weir.replay.live"], true);
  assert.equal(replay.attributes["weir.replay.reason"], "start");

  const query = { after: "earliest", wait: "1", ticket: `wt_${"a".repeat(43)}` };
  await call(weir.url, readUrl("", [channel], query));
  const poll = await spanOf(receiver, "weir.poll");
  assert.equal(poll.attributes["weir.poll.wait"], 1_000);
  assert.equal(poll.attributes["weir.poll.empty"], false);
  const polled = await spanOf(
    receiver,
    "GET /v1/channels/:channel/events",
    ({ spanId }) => spanId === poll.parentSpanId,
  );
  assert.match(String(polled.attributes["url.query"]), /ticket=\[secret\]$/);
  assert.doesNotMatch(JSON.stringify(receiver.spans), /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/);
  for (const { service } of receiver.spans) assert.equal(service, "weir");
});

const PROGRAM = new URL("../support/traced_program.ts", import.meta.url).pathname;

/** Runs a traced program to its end. */
async function runTraced(
  receiver: OtlpReceiver,
  [role, ...args]: readonly [role: "produce" | "consume", ...args: string[]],
): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", PROGRAM, role, ...args],
    env: { ...receiver.env(role), NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

Deno.test("a consumer's span links to the producer's, in another process, across the log", async () => {
  await using receiver = new OtlpReceiver();
  await using weir = await WeirServer.start({ env: receiver.env("weir") });
  const channel = newChannel();
  await runTraced(receiver, ["produce", weir.url, channel]);
  await runTraced(receiver, ["consume", weir.url, channel]);
  const byId = (id: string | undefined) => receiver.spans.find(({ spanId }) => spanId === id);
  const all = () =>
    PUBLISHED.map((data) => {
      const handled = receiver.named(HANDLED).find(({ attributes }) => attributes["data"] === data);
      const process = byId(handled?.parentSpanId);
      const publishing = byId(process?.links[0]?.spanId);
      const stored = receiver.named("weir.publish").find(({ traceId }) =>
        traceId === publishing?.traceId
      );
      return { process, publishing, stored, parent: byId(stored?.parentSpanId) };
    });
  await until("all spans have arrived", () => all().every(({ parent }) => parent !== undefined));
  const spans = all();
  assert.deepEqual(spans.map(({ process }) => [process?.service, process?.name, process?.kind]), [
    ["consume", "process", 5],
    ["consume", "process", 5],
    ["consume", "process", 5],
  ]);
  assert.deepEqual(
    spans.map(({ publishing }) => [publishing?.service, publishing?.name, publishing?.kind]),
    [["produce", "publish", 4], ["produce", "publish", 4], ["produce", "POST", 3]],
  );
  // The server stores each event in the trace of its producer.
  assert.deepEqual(spans.map(({ parent }) => [parent?.service, parent?.name]), [
    ["weir", "POST /v1/events"],
    ["weir", "POST /v1/events"],
    ["weir", ROUTE],
  ]);
  for (const { process, publishing } of spans) {
    assert.notEqual(process?.traceId, publishing?.traceId);
    assert.equal(process?.links[0]?.traceId, publishing?.traceId);
  }
});

Deno.test("a server that is not traced sends no spans", async () => {
  await using receiver = new OtlpReceiver();
  await using traced = await WeirServer.start({ env: receiver.env("traced") });
  const off = { ...receiver.env("off"), OTEL_DENO: "false" };
  await using weir = await WeirServer.start({ env: off });
  const channel = newChannel();
  for (const { url } of [weir, traced]) await publish(url, channel, 1);
  await spanOf(receiver, "weir.publish");
  await weir.kill("SIGTERM");
  assert.deepEqual([...new Set(receiver.spans.map(({ service }) => service))], ["traced"]);
});
