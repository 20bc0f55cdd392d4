import assert from "node:assert/strict";
import { LocalServer } from "../support/local_server.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { WebTransportClient } from "../support/webtransport_client.ts";
import { until } from "../support/until.ts";

/** Longer than a test: a drain that only `disconnectClients()` ends. */
const LONG_MS = 600_000;

Deno.test("a server that drains is not ready and takes no new connections", async () => {
  await using local = await LocalServer.start();
  await local.serveWebTransport();
  void local.server.drain(LONG_MS);
  const channel = newChannel();
  const refused = [
    await fetch(`${local.url}/readyz`),
    await fetch(readUrl(local.url, [channel]), { headers: { Accept: "text/event-stream" } }),
    await fetch(readUrl(local.url, [channel], { wait: "60" })),
    await fetch(`${local.url}/v1/socket`, { headers: { Upgrade: "websocket" } }),
  ];
  for (const response of refused) {
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal(response.headers.get("connection"), "close");
    assert.equal((await response.json()).code, "shutting_down");
  }
  const { transports } = await (await fetch(`${local.url}/v1/transports`)).json();
  assert.ok(!transports.includes("webtransport"));
});

Deno.test("a server that drains answers requests, and closes their connections", async () => {
  await using local = await LocalServer.start();
  const channel = newChannel();
  void local.server.drain(LONG_MS);
  const published = await fetch(`${local.url}/v1/channels/${channel}/events`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "1",
  });
  const page = await fetch(readUrl(local.url, [channel], { after: "earliest" }));
  const answers = [published, page, await fetch(`${local.url}/healthz`)];
  assert.deepEqual(answers.map(({ status }) => status), [201, 200, 200]);
  for (const { headers } of answers) assert.equal(headers.get("connection"), "close");
  const [acknowledged, { events }] = await Promise.all(answers.map((answer) => answer.json()));
  assert.equal(events[0].offset, acknowledged.offset);
});

Deno.test("a poll that waits when the drain begins is answered, and its connection closes", async () => {
  await using local = await LocalServer.start();
  const poll = fetch(readUrl(local.url, [newChannel()], { wait: "60" }));
  await until("it waits", () => local.server.goodbyes.size === 1);
  await local.server.drain(1);
  const { status, headers, body } = await poll;
  assert.deepEqual([status, headers.get("connection"), body], [204, "close", null]);
});

Deno.test("after its goodbye a connection works until its client leaves", async () => {
  await using local = await LocalServer.start();
  await local.serveWebTransport();
  const { url } = local;
  const channel = newChannel();
  const stream = await SseClient.open(readUrl(url, [channel]));
  const socket = await SocketClient.open(url);
  const webTransport = await WebTransportClient.openOffered(url);
  const subscribe = { op: "subscribe", ref: 1, channel };
  socket.send(subscribe);
  await socket.until("subscribed");
  await webTransport.send(subscribe);
  await webTransport.next("subscribed");
  const drained = local.server.drain(1);
  const goodbyes = [
    JSON.parse((await stream.next()).data),
    await socket.until("goodbye"),
    (await webTransport.next("goodbye"))[0],
  ];
  for (const { retry, reason } of goodbyes) {
    assert.equal(reason, "stopping");
    assert.ok(retry >= 200 && retry <= 3_200);
  }
  assert.equal(stream.retry, goodbyes[0].retry);
  await publish(url, channel, "after");
  socket.send({ op: "publish", ref: 2, channel, data: "by the socket" });
  await socket.until("ack");
  assert.equal((await stream.next()).data, '"after"');
  assert.equal((await webTransport.next("event"))[0]["data"], "after");
  for (const client of [stream, socket, webTransport]) await client[Symbol.asyncDispose]();
  await drained;
  assert.equal(local.server.goodbyes.size, 0);
});

Deno.test("a connection whose client stays is closed, with one goodbye", async () => {
  await using local = await LocalServer.start();
  await local.serveWebTransport();
  await using stream = await SseClient.open(readUrl(local.url, [newChannel()]));
  await using socket = await SocketClient.open(local.url);
  await using webTransport = await WebTransportClient.openOffered(local.url);
  await local.server.drain(1);
  await stream.ended();
  const { code } = await socket.closed;
  await webTransport.transport.closed.catch(() => {}); // the runtime's client loses the code
  assert.equal(code, 4000);
  assert.equal((await stream.next()).event, "weir.goodbye");
  await assert.rejects(stream.next());
  assert.equal((await socket.next()).op, "goodbye");
  await assert.rejects(socket.next());
});
