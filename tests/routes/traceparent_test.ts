import assert from "node:assert/strict";
import { connect } from "../../lib/client/client.ts";
import { createProducer } from "../../lib/client/server/producer.ts";
import { assertRefused, call } from "../support/calls.ts";
import { publishUntilDelivered } from "../support/ephemeral_events.ts";
import { EVERY_TRANSPORT, withTransport } from "../support/every_transport.ts";
import { LISTENERS } from "../support/listeners.ts";
import { LocalServer } from "../support/local_server.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { READERS, readUrl, takeEvents } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";

const NDJSON = "application/x-ndjson";
/** What is not a `traceparent` of W3C Trace Context. */
const INVALID = [
  "",
  "x",
  traceparent(1).toUpperCase(),
  traceparent(1).repeat(2),
  "0".repeat(9_000),
];

function traceparent(n: number): string {
  return `00-${"a".repeat(31)}${n}-${"b".repeat(15)}${n}-01`;
}

async function publishJson(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const response = await fetch(`${url}/v1/events`, {
    method: "POST",
    headers,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, text);
}

for (const [transport, open] of Object.entries(READERS)) {
  Deno.test(`${transport} delivers the traceparent of an event, however it was published`, async () => {
    await using weir = await LocalServer.start();
    const [a, b] = [newChannel(), newChannel()].sort() as [string, string];
    await using one = await open(weir.url, [a]);
    await using two = await open(weir.url, [a, b]);
    const header = { "Traceparent": traceparent(1) };
    const own = { traceparent: traceparent(2) };
    await publish(weir.url, a, "body", header);
    await publishJson(weir.url, { channel: a, data: "json", ...own });
    await publishJson(weir.url, { channel: a, data: "own first", ...own }, header);
    const events = [{ channel: a, data: "of the batch" }, { channel: b, data: "own", ...own }];
    await publishJson(weir.url, { events }, header);
    const lines = [{ channel: a, data: "of the stream" }, { channel: a, data: "line", ...own }];
    const body = lines.map((line) => JSON.stringify(line)).join("\n");
    await publishJson(weir.url, body, { ...header, "Content-Type": NDJSON });
    await using socket = await SocketClient.open(weir.url);
    socket.send({ op: "publish", ref: 1, channel: a, data: "socket", ...own });
    await socket.until("ack");
    await publish(weir.url, a, "without");
    const expected = [
      ["body", traceparent(1)],
      ["json", traceparent(2)],
      ["own first", traceparent(2)],
      ["of the batch", traceparent(1)],
      ["of the stream", traceparent(1)],
      ["line", traceparent(2)],
      ["socket", traceparent(2)],
    ];
    const found = await takeEvents(one, 8);
    const pairs = found.map(({ data, traceparent }) => [data, traceparent]);
    assert.deepEqual(pairs.slice(0, 7), expected);
    assert.ok(!("traceparent" in (found[7] ?? assert.fail())));
    const others = (await takeEvents(two, 9)).filter(({ channel }) => channel === b);
    assert.deepEqual(others.map(({ traceparent }) => traceparent), [traceparent(2)]);
    await using replayed = await open(weir.url, [a], "earliest");
    assert.deepEqual(await takeEvents(replayed, 8), found);
  });
}

for (const [transport, open] of Object.entries(LISTENERS)) {
  Deno.test(`${transport} delivers the traceparent of an ephemeral event`, async () => {
    await using weir = await LocalServer.start();
    const channel = newChannel();
    for (const header of [{ "Traceparent": traceparent(1) }, {}]) {
      await using listener = await open(weir.url, [channel]);
      const data = Object.keys(header);
      const [event] = await publishUntilDelivered(weir.url, channel, data, [listener], header);
      assert.equal(event?.traceparent, header.Traceparent);
    }
  });
}

Deno.test("an invalid traceparent counts as none, and refuses nothing", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  const header = { "Traceparent": traceparent(1) };
  for (const invalid of INVALID) {
    await publish(weir.url, channel, "header", { "Traceparent": invalid });
    await publishJson(weir.url, { channel, data: "member", traceparent: invalid });
    await publishJson(weir.url, { channel, data: "both", traceparent: invalid }, header);
    const page = await call(weir.url, readUrl("", [channel], { after: "earliest" }));
    const found = page.json.events.slice(-3).map((event: { traceparent?: string }) =>
      event.traceparent
    );
    assert.deepEqual(found, [undefined, undefined, traceparent(1)]);
  }
  const notText = JSON.stringify({ channel, data: 1, traceparent: 1 });
  const refused = await call(weir.url, "/v1/events", { method: "POST", body: notText });
  assertRefused(refused, 400, "bad_body");
});

Deno.test("a repeated event keeps the traceparent of the first time", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  for (const n of [1, 2]) {
    await publishJson(weir.url, { channel, data: 1, id: "x", traceparent: traceparent(n) });
  }
  const { json } = await call(weir.url, readUrl("", [channel], { after: "earliest" }));
  assert.equal(json.events.length, 1);
  assert.equal(json.events[0].traceparent, traceparent(1));
});

Deno.test("a stream of data alone has no traceparents", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using stream = await SseClient.open(readUrl(weir.url, [channel]));
  await publish(weir.url, channel, { text: "hi" }, { "Traceparent": traceparent(1) });
  assert.deepEqual((await stream.next()).data, `{"text":"hi"}`);
});

Deno.test("pages of other origins may send trace context", async () => {
  await using weir = await LocalServer.start();
  const { headers } = await call(weir.url, "/v1/events", {
    method: "OPTIONS",
    headers: {
      "Origin": "http://localhost:3000",
      "Access-Control-Request-Method": "POST",
      "Access-Control-Request-Headers": "traceparent, tracestate",
    },
  });
  const allowed = headers.get("access-control-allow-headers")?.toLowerCase().split(", ");
  for (const name of ["traceparent", "tracestate"]) assert.ok(allowed?.includes(name), name);
});

for (const transport of EVERY_TRANSPORT) {
  Deno.test(`the client passes traceparents on over ${transport}`, async () => {
    await using weir = await withTransport(transport, await LocalServer.start());
    const channel = newChannel();
    await using client = connect(weir.url, { transports: [transport] });
    const events = client.subscribe(channel, { after: "earliest", onGap: "throw" });
    await Promise.all([
      client.publish(channel, 1, { traceparent: traceparent(1) }),
      client.publish(channel, 2, { traceparent: traceparent(2) }),
      client.publish(channel, 3),
    ]);
    const found: unknown[] = [];
    for await (const { data, traceparent } of events) {
      if (found.push([data, traceparent]) === 3) break;
    }
    assert.deepEqual(found, [[1, traceparent(1)], [2, traceparent(2)], [3, undefined]]);
    const { events: earlier } = await client.history(channel);
    assert.deepEqual(earlier.map(({ traceparent }) => traceparent), [
      traceparent(1),
      traceparent(2),
      undefined,
    ]);
  });
}

Deno.test("a producer sends traceparents, however it publishes", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  const producer = createProducer(weir.url);
  await producer.publish(channel, 1, { traceparent: traceparent(1) });
  await producer.publishMany([
    { channel, data: 2, traceparent: traceparent(2) },
    { channel, data: 3 },
  ]);
  const lines = [{ channel, data: 4, traceparent: traceparent(4) }, { channel, data: 5 }];
  for await (const outcome of producer.publishAll(lines)) assert.ok("offset" in outcome);
  const { json } = await call(weir.url, readUrl("", [channel], { after: "earliest" }));
  const found = json.events.map((event: { traceparent?: string }) => event.traceparent);
  assert.deepEqual(found, [traceparent(1), traceparent(2), undefined, traceparent(4), undefined]);
});
