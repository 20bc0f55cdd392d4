import assert from "node:assert/strict";
import { memoryOf } from "../../support/memory.ts";
import { newChannel } from "../../support/publishing.ts";
import { RawConnection } from "../../support/raw_connection.ts";
import { readUrl } from "../../support/readers.ts";
import { WeirServer } from "../../support/server.ts";
import { SocketClient } from "../../support/socket_client.ts";
import { SseClient } from "../../support/sse_client.ts";

/** Size of one event: EVENTS of them are 200 MB. */
const EVENT_BYTES = 50_000;
const EVENTS = 4_000;
const PUBLISHERS = 8;
/** Events of one publish. One by one, they took a busy machine almost the 60 s of a stall. */
const AT_ONCE = 4;
/** Events before the measurement: fills the caches, and the heap reaches its size. */
const WARM_UP = 2_500;
/** Upper bound of the server's growth. It varies up to 75 MB; a queue would take 200 MB. */
const MAX_GROWTH_BYTES = 120 * 1_048_576;

Deno.test("a subscriber that does not read 200 MB costs no memory and gets all of it later", async () => {
  await using server = await WeirServer.start();
  const channel = newChannel();
  await using quick = await SseClient.open(readUrl(server.url, [channel]));
  await using socket = await SocketClient.open(server.url);
  socket.send({ op: "subscribe", ref: 1, channel });
  await socket.until("subscribed");
  let most = 0;
  await flow(WARM_UP);

  using stuck = await RawConnection.open(server.port);
  await stuck.get(`/v1/channels/${channel}/events`, { Accept: "text/event-stream" });
  using stuckSocket = await RawConnection.open(server.port);
  await stuckSocket.upgrade("/v1/socket");
  await stuckSocket.sendText(JSON.stringify({ op: "subscribe", ref: 1, channel }));
  await stuckSocket.frame(); // the welcome
  await stuckSocket.frame(); // subscribed
  const before = await memoryOf(server.pid);
  most = before;
  const offsets = await flow(EVENTS);
  assert.ok(most - before < MAX_GROWTH_BYTES, `grew from ${before} to ${most} bytes`);

  // Once it reads again, it gets all events in order.
  const cursors: string[] = [];
  await stuck.readUntil("\n\n"); // the opening
  while (cursors.length < EVENTS) {
    const block = await stuck.readUntil("\n\n");
    const id = /^id: (.*)$/m.exec(block)?.[1];
    if (id !== undefined) cursors.push(id);
  }
  assert.deepEqual(cursors, offsets);

  /** Publishes `count` events, and returns their offsets once both readers have them. */
  async function flow(count: number): Promise<readonly string[]> {
    const padding = "x".repeat(EVENT_BYTES);
    let next = 0;
    const publishers = Array.from({ length: PUBLISHERS }, async () => {
      while (next < count) {
        const events = Array.from({ length: AT_ONCE }, () => ({
          channel,
          data: `${next++} ${padding}`,
        }));
        const response = await fetch(`${server.url}/v1/events`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ events }),
        });
        assert.equal(response.status, 201, await response.text());
      }
    });
    const offsets: string[] = [];
    while (offsets.length < count) {
      const { id = "" } = await quick.next();
      assert.equal((await socket.until("event"))["offset"], id);
      offsets.push(id);
      if (offsets.length % 50 === 0) most = Math.max(most, await memoryOf(server.pid));
    }
    await Promise.all(publishers);
    return offsets;
  }
});
