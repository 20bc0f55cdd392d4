import assert from "node:assert/strict";
import { memoryOf } from "../../support/memory.ts";
import { newChannel } from "../../support/publishing.ts";
import { RawConnection } from "../../support/raw_connection.ts";
import { WeirServer } from "../../support/server.ts";

const SUBSCRIBERS = 60;
const EVENTS = 100;
const EVENT_BYTES = 80_000;
/** Upper bound of the server's growth. With the whole publish for all it grows by 950 MB. */
const MAX_GROWTH_BYTES = 400 * 1_048_576;

Deno.test("a publish of 8 MB to 60 sockets that do not read is not copied for each", async () => {
  await using server = await WeirServer.start();
  const channel = newChannel();
  using sockets = new DisposableStack();
  for (let i = 0; i < SUBSCRIBERS; i++) {
    const socket = sockets.use(await RawConnection.open(server.port));
    await socket.upgrade("/v1/socket");
    await socket.sendText(JSON.stringify({ op: "subscribe", ref: 1, channel }));
    await socket.frame(); // the welcome
    await socket.frame(); // subscribed
  }
  const before = await memoryOf(server.pid);
  const events = Array.from({ length: EVENTS }, () => ({ channel, data: "x".repeat(EVENT_BYTES) }));
  const response = await fetch(`${server.url}/v1/events`, {
    method: "POST",
    body: JSON.stringify({ events }),
    headers: { "Content-Type": "application/json" },
  });
  assert.equal(response.status, 201, await response.text());
  let most = before;
  for (let i = 0; i < 30; i++) {
    most = Math.max(most, await memoryOf(server.pid));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(most - before < MAX_GROWTH_BYTES, `grew by ${(most - before) / 1_048_576} MiB`);
});
