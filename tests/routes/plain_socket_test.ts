// WebSockets of clients that offer no subprotocol.
import assert from "node:assert/strict";
import { call } from "../support/calls.ts";
import { LocalServer } from "../support/local_server.ts";
import { newChannel } from "../support/publishing.ts";
import { Queue } from "../support/queue.ts";
import { until } from "../support/until.ts";

/** Subscribes to a channel from its beginning. Returns the text of frames up to event `last`. */
async function readFrames(
  url: string,
  { channel, last, protocols }: {
    readonly channel: string;
    readonly last: number;
    readonly protocols: readonly string[];
  },
): Promise<readonly string[]> {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/v1/socket`, [...protocols]);
  const queue = new Queue<string>();
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.onopen = () => {
    socket.send(JSON.stringify({ op: "ping", ref: 1 }) + "\n" + JSON.stringify({ op: "ping" }));
    socket.send(JSON.stringify({ op: "subscribe", ref: 2, channel, after: "earliest" }));
  };
  socket.onmessage = ({ data }) => queue.put(data);
  const frames: string[] = [];
  while (!frames.at(-1)?.includes(`"data":${last}}`)) frames.push(await queue.take());
  socket.close();
  await closed;
  return frames;
}

Deno.test("a frame holds one JSON object, or lines of them with weir.v1", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const last = 300;
  const numbers = Array.from({ length: last }, (_, i) => i + 1);
  for (let at = 0; at < last; at += 100) {
    const events = numbers.slice(at, at + 100).map((data) => ({ channel, data }));
    const { status } = await call(server.url, "/v1/events", {
      method: "POST",
      body: JSON.stringify({ events }),
    });
    assert.equal(status, 201);
  }
  for (const protocols of [[], ["weir.v1"]]) {
    const frames = await readFrames(server.url, { channel, last, protocols });
    const messages = protocols.length === 0 ? frames : frames.flatMap((frame) => frame.split("\n"));
    const parsed = messages.map((text) => JSON.parse(text));
    const ops = parsed.map(({ op }) => op);
    assert.deepEqual(ops.slice(0, 4), ["welcome", "pong", "pong", "subscribed"]);
    const data = parsed.filter(({ op }) => op === "event").map(({ data }) => data);
    assert.deepEqual(data, numbers);
    if (protocols.length > 0) assert.ok(frames.length < messages.length);
  }
});

Deno.test("when the server stops, the close code is 1012, or 4000 with weir.v1", async () => {
  await using server = await LocalServer.start();
  const closing = [[], ["weir.v1"]].map(async (protocols) => {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/socket`, protocols);
    return await new Promise<number>((resolve) => socket.onclose = ({ code }) => resolve(code));
  });
  await until("both are open", () => server.server.sockets.sockets.size === 2);
  await server.server.disconnectClients();
  assert.deepEqual(await Promise.all(closing), [1012, 4000]);
});
