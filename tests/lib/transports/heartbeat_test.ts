import assert from "node:assert/strict";
import { newChannel, publish } from "../../support/publishing.ts";
import { type Frame, OPCODE, RawConnection } from "../../support/raw_connection.ts";
import { readUrl } from "../../support/readers.ts";
import { WeirServer } from "../../support/server.ts";
import { SocketClient } from "../../support/socket_client.ts";
import { SseClient } from "../../support/sse_client.ts";

const HEARTBEAT = { WEIR_HEARTBEAT: "1s" };

Deno.test("a socket whose peer goes silent is closed, including its TCP connection", async () => {
  await using server = await WeirServer.start({ env: HEARTBEAT });
  using silent = await RawConnection.open(server.port);
  await silent.upgrade("/v1/socket");
  const frames: Frame[] = [];
  for (let frame; (frame = await silent.frame()) !== undefined;) frames.push(frame);
  // The connection has ended: this line would never be reached if the server kept it.
  assert.equal(frames[0]?.opcode, OPCODE.text);
  assert.ok(frames.some(({ opcode }) => opcode === OPCODE.ping));
});

Deno.test("a socket whose peer only answers pings stays open", async () => {
  await using server = await WeirServer.start({ env: HEARTBEAT });
  using quiet = await RawConnection.open(server.port);
  await quiet.upgrade("/v1/socket");
  const channel = newChannel();
  await quiet.sendText(JSON.stringify({ op: "subscribe", ref: 1, channel }));
  for (let pings = 0; pings < 5;) {
    const frame = await quiet.frame();
    assert.ok(frame !== undefined && frame.opcode !== OPCODE.close);
    if (frame.opcode !== OPCODE.ping) continue;
    pings++;
    await quiet.send({ opcode: OPCODE.pong, payload: frame.payload });
  }
  await publish(server.url, channel, "still there");
  const event = await quiet.frame();
  assert.match(new TextDecoder().decode(event?.payload), /still there/);
});

Deno.test("a ping in JSON is answered with its ref", async () => {
  await using server = await WeirServer.start({ env: HEARTBEAT });
  await using client = await SocketClient.open(server.url);
  client.send({ op: "ping", ref: "a" }, { op: "ping" });
  assert.deepEqual(await client.next(), { op: "pong", ref: "a" });
  assert.deepEqual(await client.next(), { op: "pong" });
});

Deno.test("a quiet SSE stream gets comments, and no event", async () => {
  await using server = await WeirServer.start({ env: HEARTBEAT });
  const channel = newChannel();
  await using client = await SseClient.open(readUrl(server.url, [channel]));
  assert.equal(await client.comments.take(), "weir");
  assert.equal(await client.comments.take(), "");
  assert.equal(await client.comments.take(), "");
  await publish(server.url, channel, 1);
  assert.equal((await client.next()).data, "1");
});
