import assert from "node:assert/strict";
import { parseOffset } from "../../../../lib/shared/offset.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, publish, publishNumbers } from "../../../support/publishing.ts";
import { RawConnection } from "../../../support/raw_connection.ts";
import { SocketClient } from "../../../support/socket_client.ts";
import { until } from "../../../support/until.ts";

Deno.test("consecutive publishes on one socket are stored in order", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  const channel = newChannel();
  const publishes = Array.from(
    { length: 300 },
    (_, i) => ({ op: "publish", ref: i, channel, data: i }),
  );
  for (let at = 0; at < 100; at++) client.send(publishes[at] ?? { op: "ping" });
  client.send(...publishes.slice(100));
  const sequences: number[] = [];
  for (let i = 0; i < publishes.length; i++) {
    const ack = await client.until("ack");
    sequences[Number(ack["ref"])] = parseOffset(String(ack["offset"])).sequence;
  }
  assert.deepEqual(sequences, publishes.map((_, i) => i + 1));
});

Deno.test("a large message keeps its place, and its data is not parsed as a whole", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  const channel = newChannel();
  const data = Array.from({ length: 300_000 }, () => []);
  const parse = JSON.parse;
  let longest = 0;
  JSON.parse = (text, reviver) => {
    longest = Math.max(longest, text.length);
    return parse(text, reviver);
  };
  try {
    client.send({ op: "publish", ref: 0, channel, data: 0 });
    client.send({ op: "publish", ref: 1, channel, data });
    client.send({ op: "publish", ref: 2, channel, data: 2 });
    const sequences: number[] = [];
    for (let i = 0; i < 3; i++) {
      const ack = await client.until("ack");
      sequences[Number(ack["ref"])] = parseOffset(String(ack["offset"])).sequence;
    }
    assert.deepEqual(sequences, [1, 2, 3]);
  } finally {
    JSON.parse = parse;
  }
  assert.ok(longest <= 65_536, `${longest} characters at once`);
});

Deno.test("publishing an id again is acknowledged as a duplicate", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  const channel = newChannel();
  client.send({ op: "publish", ref: 1, channel, data: 1, id: "x" });
  const first = await client.until("ack");
  client.send({ op: "publish", ref: 2, channel, data: 1, id: "x" });
  assert.deepEqual(await client.until("ack"), { ...first, ref: 2, duplicate: true });
  client.send({ op: "publish", ref: 3, channel, data: 2, id: "x" });
  const { op, ref, code } = await client.next();
  assert.deepEqual({ op, ref, code }, { op: "error", ref: 3, code: "idempotency_conflict" });
});

Deno.test("small messages pass while large ones of another channel are sent", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  const [large, small] = [newChannel(), newChannel()];
  for (let i = 0; i < 20; i++) await publish(server.url, large, "x".repeat(1_000_000));
  await publishNumbers(server.url, small, 20);
  client.send(
    { op: "subscribe", ref: 1, channel: large, after: "earliest" },
    { op: "subscribe", ref: 2, channel: small, after: "earliest" },
    { op: "ping", ref: 3 },
  );
  const order: string[] = [];
  while (order.filter((name) => name === large).length < 20 || !order.includes("pong")) {
    const message = await client.next();
    if (message.op === "event") order.push(String(message["channel"]));
    if (message.op === "pong") order.push("pong");
  }
  const before = order.slice(0, order.lastIndexOf(large));
  assert.equal(before.filter((name) => name === small).length, 20);
  assert.ok(before.includes("pong"));
});

Deno.test("the answers to the messages of one frame come in one frame, one a line", async () => {
  await using server = await LocalServer.start();
  using connection = await RawConnection.open(server.port);
  await connection.upgrade("/v1/socket");
  await connection.frame(); // the welcome
  await connection.sendText(Array(256).fill(`{"op":"ping"}`).join("\n"));
  const frame = await connection.frame();
  const lines = new TextDecoder().decode(frame?.payload).split("\n");
  assert.deepEqual(lines, Array(256).fill(`{"op":"pong"}`));
});

Deno.test("after unsubscribe a channel sends nothing, and the others continue", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  const [a, b] = [newChannel(), newChannel()];
  client.send({ op: "subscribe", ref: 1, channel: a }, { op: "subscribe", ref: 2, channel: b });
  await client.until("subscribed");
  await client.until("subscribed");
  client.send({ op: "unsubscribe", ref: 3, channel: a });
  await client.until("unsubscribed");
  await publish(server.url, a, 1);
  await publish(server.url, b, 2);
  assert.equal((await client.next())["data"], 2);
});

Deno.test("a subscribe that an unsubscribe overtakes is answered, and a later subscribe works", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  const channel = newChannel();
  client.send(
    { op: "subscribe", ref: 1, channel },
    { op: "unsubscribe", ref: 2, channel },
    { op: "subscribe", ref: 3, channel },
  );
  const answers = [await client.next(), await client.next(), await client.next()];
  const told = answers.map(({ op, ref, code }) => `${ref} ${code ?? op}`);
  assert.deepEqual(told.sort(), ["1 not_subscribed", "2 unsubscribed", "3 subscribed"]);
  await publish(server.url, channel, 1);
  assert.equal((await client.until("event"))["data"], 1);
});

Deno.test("a disconnected socket leaves no connection and no subscription", async () => {
  await using server = await LocalServer.start({ WEIR_HEARTBEAT: "1s" });
  const { sockets } = server.server.sockets;
  {
    using abrupt = await RawConnection.open(server.port);
    await abrupt.upgrade("/v1/socket");
    await abrupt.sendText(JSON.stringify({ op: "subscribe", ref: 1, channel: "a" }));
    await until("it is subscribed", () => server.server.hub.size === 1);
    assert.equal(sockets.size, 1);
  }
  await until("its end was seen", () => sockets.size === 0);
  using silent = await RawConnection.open(server.port);
  await silent.upgrade("/v1/socket");
  await until("it is there", () => sockets.size === 1);
  await until("its silence was seen", () => sockets.size === 0);
});
