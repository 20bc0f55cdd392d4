import assert from "node:assert/strict";
import { OPEN } from "../../../lib/auth/authority.ts";
import { Connections } from "../../../lib/auth/connections.ts";
import { Goodbyes } from "../../../lib/transports/goodbyes.ts";
import { Hub } from "../../../lib/hub/hub.ts";
import type { Log } from "../../../lib/log/log.ts";
import { sseStream, StreamCut } from "../../../lib/transports/sse/stream.ts";
import { TimerWheel } from "../../../lib/transports/timer_wheel.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { type Frame, OPCODE, RawConnection } from "../../support/raw_connection.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { SocketHost } from "../../support/socket_host.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");
const STALL = 200;

Deno.test("an SSE stream that nobody reads breaks off after its queued events and the reason", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log, stallTimeoutMs: STALL, lingerMs: 1 });
  const wheel = new TimerWheel(15_000);
  let isReleased = false;
  const stream = await sseStream({
    hub,
    wheel,
    connections: new Connections(),
    goodbyes: new Goodbyes(),
    id: "stream",
    authority: OPEN,
    countedConnection: { [Symbol.dispose]: () => void (isReleased = true) },
    channelKeys: [A],
    after: "latest",
    isEnveloped: false,
  });
  await fill(log, 10);
  await until("it is closed", () => hub.size === 0);
  let text = "";
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) text += decoder.decode(bytes, { stream: true });
  };
  await assert.rejects(read(), StreamCut);
  assert.match(text, /^data: "0 /m);
  assert.match(text, /event: weir\.goodbye\ndata: \{"retry":\d+,"reason":"slow"\}\n\n$/);
  assert.equal(isReleased, true);
  wheel.close(); // it would cut the stream after a round
  await hub.close();
});

Deno.test("a socket that nobody reads ends with a goodbye and 4001", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  await using host = new SocketHost({ log, stallTimeoutMs: STALL });
  const { hub, port, options: { sockets } } = host;
  using connection = await RawConnection.open(port);
  await connection.upgrade("/");
  await connection.sendText(JSON.stringify({ op: "subscribe", ref: 1, channel: "a" }));
  await until("it is subscribed", () => hub.size === 1);
  await fill(log, 12);
  await until("it is closed", () => sockets.size === 0);
  const frames: Frame[] = [];
  for (let frame; (frame = await connection.frame()) !== undefined;) {
    frames.push(frame);
    if (frame.opcode === OPCODE.close) await connection.send(frame);
  }
  const [goodbye, close] = frames.slice(-2);
  assert.match(new TextDecoder().decode(goodbye?.payload), /"op":"goodbye".*"reason":"slow"/);
  assert.equal(close?.opcode, OPCODE.close);
  const code = close === undefined ? 0 : new DataView(close.payload.buffer).getUint16(0);
  assert.equal(code, 4001);
});

/** Publishes more megabytes than the kernel buffers for a peer that reads nothing. */
async function fill(log: Log, megabytes: number): Promise<void> {
  const padding = "x".repeat(1_000_000);
  for (let i = 0; i < megabytes; i++) await log.append([draft("a", `"${i} ${padding}"`)]);
}
