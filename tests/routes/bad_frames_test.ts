import assert from "node:assert/strict";
import { DEFAULT_TENANT } from "../../lib/shared/channel.ts";
import type { ProblemCode } from "../../lib/shared/problem.ts";
import { LocalServer } from "../support/local_server.ts";
import { head, OPCODE, RawConnection } from "../support/raw_connection.ts";
import { SocketClient, type SocketMessage } from "../support/socket_client.ts";

const MiB = 1_048_576;

type Bad = readonly [what: string, frame: string | SocketMessage, code: ProblemCode, says?: RegExp];

const BAD: readonly Bad[] = [
  ["a frame that isn't JSON", "hello", "bad_frame"],
  ["an empty frame", "", "bad_frame"],
  ["JSON that is not an object", "[]", "bad_op"],
  ["null", "null", "bad_frame"],
  ["no op", "{}", "bad_op"],
  ["an op that doesn't exist", { op: "shout", ref: 7 }, "bad_op", /"shout".*subscribe/],
  ["an op of every object", { op: "toString", ref: 7 }, "bad_op"],
  ["a subscribe without ref", `{"op":"subscribe","channel":"a"}`, "bad_message", /ref/],
  ["a subscribe without channel", { op: "subscribe", ref: 7 }, "bad_message", /channel/],
  [
    "a subscribe with both",
    { op: "subscribe", ref: 7, channel: "a", channels: ["b"] },
    "bad_message",
  ],
  ["a member that is unknown", { op: "subscribe", ref: 7, chanel: "a" }, "bad_message", /chanel/],
  ["a bad channel", { op: "subscribe", ref: 7, channel: "" }, "bad_channel"],
  ["a reserved channel", { op: "publish", ref: 7, channel: "$a", data: 1 }, "channel_reserved"],
  ["a bad cursor", { op: "subscribe", ref: 7, channel: "a", after: "x" }, "bad_cursor", /"x"/],
  [
    "too many channels",
    { op: "subscribe", ref: 7, channels: Array.from({ length: 101 }, (_, i) => `${i}`) },
    "too_many_channels",
  ],
  ["an unsubscribe of nothing", { op: "unsubscribe", ref: 7, channel: "a" }, "not_subscribed"],
  ["a publish without data", { op: "publish", ref: 7, channel: "a" }, "bad_message", /data/],
  ["a bad type", { op: "publish", ref: 7, channel: "a", data: 1, type: "\n" }, "bad_event_type"],
  [
    "a type of the system",
    { op: "publish", ref: 7, channel: "a", data: 1, type: "weir.x" },
    "bad_event_type",
  ],
  ["a bad TTL", { op: "publish", ref: 7, channel: "a", data: 1, ttl: 0.5 }, "bad_event_ttl"],
  [
    "too much data",
    { op: "publish", ref: 7, channel: "a", data: "x".repeat(MiB) },
    "event_too_large",
  ],
];

Deno.test("a bad message is refused with its ref, and the socket stays open", async (t) => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  for (const [what, frame, code, says = /./] of BAD) {
    await t.step(what, async () => {
      client.sendText(typeof frame === "string" ? frame : JSON.stringify(frame));
      const error = await client.next();
      assert.equal(error.op, "error");
      assert.equal(error["code"], code);
      assert.equal(error["ref"], typeof frame === "string" ? undefined : frame["ref"]);
      assert.match(String(error["detail"]), says);
      client.send({ op: "ping", ref: what });
      assert.deepEqual(await client.next(), { op: "pong", ref: what });
      assert.deepEqual(await server.server.log.channels(DEFAULT_TENANT, "", 10), []);
    });
  }
});

Deno.test("a second subscription to the same channel is refused, and the first continues", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  client.send({ op: "subscribe", ref: 1, channel: "a" }, { op: "subscribe", ref: 2, channel: "a" });
  const answers = [await client.next(), await client.next()];
  assert.deepEqual(answers.map(({ ref }) => ref).sort(), [1, 2]);
  assert.equal(answers.find(({ ref }) => ref === 2)?.["code"], "subscribed_already");
  client.send({ op: "publish", ref: 3, channel: "a", data: 1 });
  assert.equal((await client.until("event"))["data"], 1);
});

Deno.test("a binary frame is refused, and the socket stays open", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  client.sendBytes(Uint8Array.of(1, 2, 3));
  assert.equal((await client.next())["code"], "bad_frame");
  client.send({ op: "ping" });
  assert.equal((await client.next()).op, "pong");
});

Deno.test("of the messages in a frame only the bad one is refused", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  client.sendText(`{"op":"ping","ref":1}\nnonsense\n{"op":"ping","ref":2}`);
  const messages = [await client.next(), await client.next(), await client.next()];
  assert.deepEqual(messages.map(({ op }) => op), ["pong", "error", "pong"]);
});

Deno.test("a frame with 256 messages is accepted", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  client.sendText(Array(256).fill(`{"op":"ping"}`).join("\n"));
  for (let i = 0; i < 256; i++) assert.deepEqual(await client.next(), { op: "pong" });
});

Deno.test("a frame with 257 messages is refused as a whole, with one error without ref", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  client.sendText(Array(257).fill(`{"op":"ping","ref":1}`).join("\n"));
  const { op, code, ref } = await client.next();
  assert.deepEqual({ op, code, ref }, { op: "error", code: "bad_frame", ref: undefined });
  client.send({ op: "ping", ref: 2 });
  assert.deepEqual(await client.next(), { op: "pong", ref: 2 });
});

Deno.test("a frame that is too large is refused, and the socket is closed with 4002", async () => {
  await using server = await LocalServer.start();
  await using client = await SocketClient.open(server.url);
  client.sendText("x".repeat(2 * MiB + 1));
  assert.equal((await client.next())["code"], "frame_too_large");
  assert.equal((await client.closed).code, 4002);
});

Deno.test("a frame far larger than memory should hold ends the connection", async () => {
  await using server = await LocalServer.start();
  using connection = await RawConnection.open(server.port);
  await connection.upgrade("/v1/socket");
  await connection.frame(); // the welcome
  // The header of a frame of 1 TiB.
  await connection.write(Uint8Array.of(0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4));
  const frame = await connection.frame();
  assert.ok(frame === undefined || frame.opcode === OPCODE.close);
});

Deno.test("an unknown subprotocol is refused", async () => {
  await using server = await LocalServer.start();
  const handshake = (protocol: Record<string, string>) => ({
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...protocol,
  });
  for (
    const [protocol, status] of [
      [{ "Sec-WebSocket-Protocol": "weir.v2" }, 400],
      [{ "Sec-WebSocket-Protocol": "graphql-ws, mqtt" }, 400],
      [{ "Sec-WebSocket-Protocol": "mqtt, weir.v1" }, 101],
      [{}, 101],
      [{ Origin: "https://example.com" }, 403],
      [{ Origin: "null" }, 403],
    ] as const
  ) {
    using connection = await RawConnection.open(server.port);
    await connection.write(head("GET", "/v1/socket", handshake(protocol)));
    const answer = await connection.readUntil("\r\n\r\n");
    assert.equal(Number(answer.split(" ")[1]), status, answer);
  }
});
