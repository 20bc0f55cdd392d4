import assert from "node:assert/strict";
import { OPEN } from "../../../../lib/auth/authority.ts";
import { Connections } from "../../../../lib/auth/connections.ts";
import { Goodbyes } from "../../../../lib/transports/goodbyes.ts";
import { Hub } from "../../../../lib/hub/hub.ts";
import { channelOf } from "../../../../lib/shared/channel.ts";
import { parseCursor } from "../../../../lib/shared/cursor.ts";
import { sseStream } from "../../../../lib/transports/sse/stream.ts";
import { TimerWheel } from "../../../../lib/transports/timer_wheel.ts";
import { draft, testChannelKey } from "../../../support/drafts.ts";
import { openEmbedded } from "../../../support/log_stores.ts";

const CHANNELS = Array.from({ length: 90 }, (_, i) => `c${String(i).padStart(3, "0")}`);
/** Events of each channel, one of each in a publish. Together 13 MB, far more than there is room for. */
const SIZES = [10, 60_000, 20_000, 5_000, 60_000, 10];

Deno.test("a stream of many channels that have much at once gets each event once, with its cursor", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  const channelKeys = CHANNELS.map(testChannelKey);
  const stream = await sseStream({
    hub,
    wheel: new TimerWheel(15_000),
    connections: new Connections(),
    goodbyes: new Goodbyes(),
    id: "stream",
    authority: OPEN,
    countedConnection: { [Symbol.dispose]: () => {} },
    channelKeys,
    after: "latest",
    isEnveloped: true,
  });
  for (const size of SIZES) {
    await log.append(CHANNELS.map((channel) => draft(channel, `"${"x".repeat(size)}"`)));
  }
  const read = new Map<string, number>(CHANNELS.map((channel) => [channel, 0]));
  let events = 0;
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const blocks = (text + decoder.decode(chunk, { stream: true })).split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const [, id = "", data] = /^id: (.*)\ndata: (.*)$/.exec(block) ?? [];
      if (data === undefined) continue; // the opening
      const { channel, data: { length } } = JSON.parse(data);
      const before = read.get(channel) ?? 0;
      assert.equal(length, SIZES[before]);
      read.set(channel, before + 1);
      events++;
      const positions = parseCursor(id, channelKeys.map(channelOf));
      assert.deepEqual(positions.map(({ sequence }) => sequence), [...read.values()]);
    }
    if (events === CHANNELS.length * SIZES.length) break;
  }
  assert.equal(events, CHANNELS.length * SIZES.length);
  await hub.close();
});
