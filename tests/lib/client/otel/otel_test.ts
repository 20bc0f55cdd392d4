import assert from "node:assert/strict";
import { SpanKind } from "@opentelemetry/api";
import { connect, type WeirEvent } from "../../../../lib/client/client.ts";
import { processEvent, traced } from "../../../../lib/client/otel/otel.ts";
import { createProducer } from "../../../../lib/client/server/producer.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel } from "../../../support/publishing.ts";
import { RecordingTracer } from "../../../support/recording_tracer.ts";
import { until } from "../../../support/until.ts";

const OWN = `00-${"c".repeat(32)}-${"d".repeat(16)}-01`;

async function eventsOf(url: string, channel: string): Promise<readonly WeirEvent[]> {
  await using client = connect(url);
  return (await client.history(channel)).events;
}

Deno.test("a traced client publishes in spans, and events have their traceparents", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  const tracer = new RecordingTracer();
  await using client = traced(connect(weir.url), { tracer });
  const { id } = await client.publish(channel, 1, { id: "one" });
  await client.publish(channel, 2, { type: "other" });
  await client.publish(channel, 3, { traceparent: OWN });
  const events = await eventsOf(weir.url, channel);
  assert.deepEqual(events.map(({ data, type, traceparent }) => [data, type, traceparent]), [
    [1, "message", tracer.traceparent(0)],
    [2, "other", tracer.traceparent(1)],
    [3, "message", OWN],
  ]);
  const [span] = tracer.spans;
  assert.equal(span?.options.kind, SpanKind.PRODUCER);
  assert.deepEqual(span?.attributes, {
    "messaging.system": "weir",
    "messaging.operation.name": "publish",
    "messaging.operation.type": "send",
    "messaging.destination.name": channel,
    "messaging.message.id": id,
  });
  assert.ok(tracer.spans.every(({ isEnded, error }) => isEnded && error === undefined));
});

Deno.test("an event of a publish that is not sampled says so", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using client = traced(connect(weir.url), { tracer: new RecordingTracer(false) });
  await client.publish(channel, 1);
  const [event] = await eventsOf(weir.url, channel);
  assert.match(event?.traceparent ?? "", /-00$/);
});

Deno.test("a refused publish is an error of its span, and rejects as without", async () => {
  await using weir = await LocalServer.start();
  const tracer = new RecordingTracer();
  await using client = traced(connect(weir.url), { tracer });
  await assert.rejects(client.publish(newChannel(), undefined), { code: "bad_data" });
  const producer = traced(createProducer(weir.url), { tracer });
  await assert.rejects(producer.publish("", 1), { code: "bad_channel" });
  const none: AsyncIterable<never> = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new RangeError("no events")) }),
  };
  const outcomes = producer.publishAll(none);
  await assert.rejects(outcomes.next(), RangeError);
  const types = tracer.spans.map(({ attributes }) => attributes["error.type"]);
  assert.deepEqual(types, ["bad_data", "bad_channel", "RangeError"]);
  assert.ok(tracer.spans.every(({ isEnded, error }) => isEnded && error !== undefined));
});

Deno.test("listen() of a traced client handles events in spans that link to the publish", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using plain = connect(weir.url);
  await plain.publish(channel, "traced", { traceparent: OWN, id: "x" });
  await plain.publish(channel, "not traced");
  const tracer = new RecordingTracer();
  await using client = traced(connect(weir.url), { tracer });
  const seen: unknown[] = [];
  using _listening = client.listen(channel, {
    after: "earliest",
    onGap: "throw",
    onEvent: async ({ data }) => {
      assert.equal(tracer.spans.at(-1)?.isEnded, false);
      await Promise.resolve();
      seen.push(data);
    },
  });
  await until("both are handled", () => tracer.spans[1]?.isEnded ?? false);
  assert.deepEqual(seen, ["traced", "not traced"]);
  const [first, second] = tracer.spans;
  assert.equal(first?.options.kind, SpanKind.CONSUMER);
  assert.deepEqual(first?.options.links, [{
    context: { traceId: "c".repeat(32), spanId: "d".repeat(16), traceFlags: 1, isRemote: true },
  }]);
  assert.equal(first?.attributes["messaging.operation.name"], "process");
  assert.equal(first?.attributes["messaging.message.id"], "x");
  assert.deepEqual(second?.options.links, []);
});

Deno.test("processEvent() returns and throws what the handler does", async () => {
  const tracer = new RecordingTracer();
  const event: WeirEvent = {
    kind: "event",
    channel: "a",
    offset: "o",
    id: "i",
    type: "message",
    time: "",
    contentType: "application/json",
    data: 1,
    traceparent: "not a traceparent",
  };
  assert.equal(processEvent(event, () => 7, { tracer }), 7);
  assert.equal(await processEvent(event, () => Promise.resolve(8), { tracer }), 8);
  assert.throws(() =>
    processEvent(event, () => {
      throw new RangeError("now");
    }, { tracer }), RangeError);
  const later = processEvent(event, () => Promise.reject(new RangeError("later")), { tracer });
  await assert.rejects(later, RangeError);
  assert.deepEqual(tracer.spans.map(({ error }) => error), [undefined, undefined, "now", "later"]);
  assert.ok(tracer.spans.every(({ isEnded, options }) => isEnded && options.links?.length === 0));
});

Deno.test("a traced producer gives its events the traceparent of the call", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  const tracer = new RecordingTracer();
  const producer = traced(createProducer(weir.url), { tracer });
  await producer.publish(channel, 0);
  await producer.publishMany([
    { channel, data: 1 },
    { channel, data: 2, traceparent: OWN },
  ]);
  async function* source() {
    yield* [{ channel, data: 3 }, { channel, data: 4, traceparent: OWN }];
  }
  for (const events of [[{ channel, data: 5 }], source()]) {
    for await (const outcome of producer.publishAll(events)) assert.ok("offset" in outcome);
  }
  for await (const _ of producer.publishAll([{ channel, data: 6 }, { channel, data: 7 }])) break;
  const events = await eventsOf(weir.url, channel);
  const of = (index: number) => tracer.traceparent(index);
  assert.deepEqual(events.slice(0, 6).map(({ data, traceparent }) => [data, traceparent]), [
    [0, of(0)],
    [1, of(1)],
    [2, OWN],
    [5, of(2)],
    [3, of(3)],
    [4, OWN],
  ]);
  assert.equal(tracer.spans[1]?.attributes["messaging.batch.message_count"], 2);
  assert.equal(tracer.spans.length, 5);
  assert.ok(tracer.spans.every(({ isEnded, error }) => isEnded && error === undefined));
});

Deno.test("without a tracer provider events are published without a traceparent", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using client = traced(connect(weir.url));
  const producer = traced(createProducer(weir.url));
  await client.publish(channel, 1);
  await producer.publish(channel, 2);
  for await (const outcome of producer.publishAll([{ channel, data: 3 }])) {
    assert.ok("offset" in outcome);
  }
  const events = await eventsOf(weir.url, channel);
  assert.deepEqual(events.map(({ data }) => data), [1, 2, 3]);
  for (const event of events) {
    assert.equal(event.traceparent, undefined);
    assert.equal(processEvent(event, () => "handled"), "handled");
  }
});
