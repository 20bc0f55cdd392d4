import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { OPEN } from "../../../../lib/auth/authority.ts";
import { Connections } from "../../../../lib/auth/connections.ts";
import { Goodbyes } from "../../../../lib/transports/goodbyes.ts";
import { Hub } from "../../../../lib/hub/hub.ts";
import { longPoll } from "../../../../lib/transports/poll/long_poll.ts";
import type { After } from "../../../../lib/shared/cursor.ts";
import { ORIGIN } from "../../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../../support/drafts.ts";
import { openEmbedded } from "../../../support/log_stores.ts";
import { FakeClock } from "../../../support/clock.ts";

Deno.test("a long poll that arrives while the server stops is answered with its cursor", async () => {
  await using store = await openEmbedded();
  const hub = new Hub({ log: await store.isolate() });
  await hub.close();
  const { signal } = new AbortController();
  const page = await longPoll(hub, "earliest", {
    channelKeys: [testChannelKey("a")],
    limit: 10,
    waitMs: 60_000,
    signal,
    connections: new Connections(),
    goodbyes: new Goodbyes(),
    authority: OPEN,
  });
  assert.equal(page.isEmpty, true);
  assert.equal(page.cursor, "000000000_0000000000000000");
});

Deno.test("a poll gathers ephemeral events for 50 ms, but at most 128 Ki characters", async () => {
  await using store = await openEmbedded();
  const hub = new Hub({ log: await store.isolate() });
  const a = testChannelKey("a");
  const publishEphemeral = (data: string) =>
    hub.publishEphemeral(a, { type: "m", time: 0, contentType: "text/a", data });
  using clock = new FakeClock({ replaces: ["timeouts"] });
  try {
    const turns = async () => {
      for (let i = 0; i < 20; i++) await setImmediate();
    };
    const poll = async () => {
      const { body } = await longPoll(hub, "latest", {
        channelKeys: [a],
        limit: 10,
        waitMs: 10_000,
        signal: new AbortController().signal,
        connections: new Connections(),
        goodbyes: new Goodbyes(),
        authority: OPEN,
      });
      return JSON.parse(body).ephemeral.map(({ data }: { readonly data: string }) => data.length);
    };
    const begun = async () => {
      const lengths = poll();
      while (!hub.isFollowed(a)) await setImmediate();
      await turns();
      return { lengths };
    };
    const few = await begun();
    publishEphemeral("1");
    await turns();
    clock.advance(49);
    publishEphemeral("22");
    await turns();
    clock.advance(1);
    assert.deepEqual(await few.lengths, [1, 2]);
    const many = await begun();
    for (let i = 0; i < 9; i++) {
      publishEphemeral("x".repeat(16_000));
      await turns();
    }
    assert.deepEqual(await many.lengths, Array(9).fill(16_000));
  } finally {
    await hub.close();
  }
});

Deno.test("a poll's pages stay small when much is published at once", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  const channels = ["a", "b", "c"];
  const data = JSON.stringify("x".repeat(82_000));
  let after: After = "latest";
  const poll = async () => {
    const page = await longPoll(hub, after, {
      channelKeys: channels.map(testChannelKey),
      limit: 1_000,
      waitMs: 60_000,
      signal: new AbortController().signal,
      connections: new Connections(),
      goodbyes: new Goodbyes(),
      authority: OPEN,
    });
    const { events, upToDate } = JSON.parse(page.body);
    assert.ok(events.length <= 3, `${events.length} events`);
    after = channels.map((_, i) => page.positions.at(i) ?? ORIGIN);
    for (const { channel, offset } of events) offsets.push(`${channel} ${offset}`);
    return upToDate;
  };
  const offsets: string[] = [];
  const first = poll();
  while (channels.some((channel) => !hub.isFollowed(testChannelKey(channel)))) await setImmediate();
  const drafts = Array.from({ length: 12 }, (_, i) => draft(channels[i % 3] ?? "a", data));
  const appended = await log.append(drafts);
  assert.equal(await first, false);
  while (!await poll());
  const expected = appended.map(({ offset }, i) => `${channels[i % 3]} ${offset}`);
  assert.deepEqual(offsets.sort(), expected.sort());
  await hub.close();
});
