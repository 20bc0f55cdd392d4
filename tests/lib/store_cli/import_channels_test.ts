import assert from "node:assert/strict";
import { BroadcastDoorbell } from "../../../lib/kv/broadcast_doorbell.ts";
import { keys } from "../../../lib/kv/keys.ts";
import { eventMembers } from "../../../lib/shared/event.ts";
import { epochAt, formatOffset } from "../../../lib/shared/offset.ts";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { importChannels } from "../../../lib/store_cli/import_channels.ts";
import { testChannelKey } from "../../support/drafts.ts";
import { openEmbedded } from "../../support/log_stores.ts";

const NOW = Date.UTC(2026, 0, 1);
const EPOCH = epochAt(NOW);
const LIMITS = { age: 3_600, events: 1_000, bytes: 1_000_000 };

Deno.test("an import that loses its channel before the last line ends, and renews no lease", async () => {
  await using store = await openEmbedded();
  const { kv } = store;
  const head = {
    channel: "a",
    first: formatOffset(EPOCH, 1),
    last: formatOffset(EPOCH, 1),
    changed: new Date(NOW).toISOString(),
    retention: LIMITS,
  };
  const members = eventMembers('"a"', EPOCH, {
    sequence: 1,
    id: undefined,
    type: "message",
    time: NOW,
    contentType: "application/json",
    data: "1",
    key: undefined,
    publisher: undefined,
    traceparent: undefined,
    expiresAt: undefined,
  });
  async function* lines(): AsyncGenerator<string> {
    yield `${JSON.stringify(head)}\n{${members}}\n`;
    const mark = keys.sweep(testChannelKey("a"), EPOCH);
    while ((await kv.get(mark)).value === null); // until it has begun
    await kv.set(mark, "ended_import");
    yield `{"channel":"a","end":true,"events":1}\n`;
  }
  const refusals: string[] = [];
  const { channels, refused } = await importChannels({
    store: {
      kv,
      doorbell: new BroadcastDoorbell(crypto.randomUUID()),
      traits: { isShared: false, maxChecks: 10, maxCommitsInFlight: 1 },
    },
    input: ReadableStream.from(lines()).pipeThrough(new TextEncoderStream()),
    tenant: DEFAULT_TENANT,
    retention: { ...LIMITS, age: LIMITS.age * 1_000 },
    now: () => NOW,
    stop: new AbortController().signal,
    onProgress() {},
    onRefused: (_channel, why) => refusals.push(why),
  });
  assert.deepEqual({ channels, refused }, { channels: 0, refused: 1 });
  assert.match(refusals[0] ?? "", /another import of it has begun/);
}); // the runner finds a timer that still runs
