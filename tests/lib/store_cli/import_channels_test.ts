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

function headLine(last: number): string {
  const head = {
    channel: "a",
    first: formatOffset(EPOCH, 1),
    last: formatOffset(EPOCH, last),
    changed: new Date(NOW).toISOString(),
    retention: LIMITS,
  };
  return `${JSON.stringify(head)}\n`;
}

function eventLine(sequence: number): string {
  const members = eventMembers('"a"', EPOCH, {
    sequence,
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
  return `{${members}}\n`;
}

function optionsFor(kv: Deno.Kv, lines: Iterable<string> | AsyncIterable<string>) {
  return {
    store: {
      kv,
      doorbell: new BroadcastDoorbell(crypto.randomUUID()),
      traits: { isShared: false, maxChecks: 10, maxCommitsInFlight: 1 },
    },
    input: ReadableStream.from(lines).pipeThrough(new TextEncoderStream()),
    tenant: DEFAULT_TENANT,
    retention: { ...LIMITS, age: LIMITS.age * 1_000 },
    now: () => NOW,
    stop: new AbortController().signal,
    onProgress() {},
    onWaiting() {},
    onRefused() {},
  } as const;
}

Deno.test("an import that loses its channel before the last line ends, and renews no lease", async () => {
  await using store = await openEmbedded();
  const { kv } = store;
  async function* lines(): AsyncGenerator<string> {
    yield `${headLine(1)}${eventLine(1)}`;
    const mark = keys.sweep(testChannelKey("a"), EPOCH);
    while ((await kv.get(mark)).value === null); // until it has begun
    await kv.set(mark, "ended_import");
    yield `{"channel":"a","end":true,"events":1}\n`;
  }
  const refusals: string[] = [];
  const { channels, refused } = await importChannels({
    ...optionsFor(kv, lines()),
    onRefused: (_channel, why) => refusals.push(why),
  });
  assert.deepEqual({ channels, refused }, { channels: 0, refused: 1 });
  assert.match(refusals[0] ?? "", /another import of it has begun/);
}); // the runner finds a timer that still runs

Deno.test("the report counts a channel of which an interrupted import has written a part", async () => {
  await using store = await openEmbedded();
  const { kv } = store;
  const numbers = Array.from({ length: 600 }, (_, i) => i + 1);
  const all = [
    headLine(numbers.length),
    ...numbers.map(eventLine),
    `{"channel":"a","end":true,"events":${numbers.length}}\n`,
  ];
  const stop = new AbortController();
  const first = await importChannels({
    ...optionsFor(kv, all),
    stop: stop.signal,
    onProgress: ({ readEvents }) => {
      if (readEvents === 550) stop.abort();
    },
  });
  assert.deepEqual([first.channels, first.continued], [0, 0]);
  const second = await importChannels(optionsFor(kv, all));
  assert.deepEqual([second.channels, second.continued, second.events], [1, 1, 600]);
  const third = await importChannels(optionsFor(kv, all));
  assert.deepEqual([third.channels, third.continued, third.known], [0, 0, 1]);
});
