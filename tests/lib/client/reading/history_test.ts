import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import type { History, WeirEvent } from "../../../../lib/client/api.ts";
import { connect } from "../../../../lib/client/client.ts";
import { readHistory } from "../../../../lib/client/reading/history.ts";
import { epochAt, formatOffset } from "../../../../lib/shared/offset.ts";
import { FakeLink } from "../../../support/fake_link.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, post, publish, publishNumbers } from "../../../support/publishing.ts";

const EPOCH = epochAt(1);
const at = (sequence: number) => formatOffset(EPOCH, sequence);

Deno.test("history pages back to the first event, and has the cursor for a subscription", async () => {
  await using server = await LocalServer.start();
  await using weir = connect(server.url);
  const channel = newChannel();
  const acks = await publishNumbers(server.url, channel, 7);
  const offset = (n: number) => acks[n - 1]?.offset;

  const newest = await weir.history(channel, { limit: 3 });
  assert.deepEqual(summary(newest), [[5, 6, 7], false, offset(5)]);
  assert.equal(newest.cursor, offset(7));
  const middle = await weir.history(channel, { limit: 3, before: newest.before });
  assert.deepEqual(summary(middle), [[2, 3, 4], false, offset(2)]);
  assert.equal(middle.cursor, offset(4));
  const oldest = await weir.history(channel, { limit: 3, before: middle.before });
  assert.deepEqual(summary(oldest), [[1], true, undefined]);
  const all = await weir.history(channel);
  assert.deepEqual(summary(all), [[1, 2, 3, 4, 5, 6, 7], true, undefined]);

  await publish(server.url, channel, 8);
  for await (const item of weir.subscribe(channel, { after: newest.cursor })) {
    assert.equal(item.kind === "event" && item.data, 8);
    break;
  }
});

Deno.test("a missing channel has no history, and a recreated one has none of its previous epoch", async () => {
  await using server = await LocalServer.start();
  await using weir = connect(server.url);
  const channel = newChannel();
  const none = await weir.history(channel);
  assert.deepEqual(summary(none), [[], true, undefined]);
  const [first] = await publishNumbers(server.url, channel, 3);
  await (await fetch(`${server.url}/v1/channels/${channel}`, { method: "DELETE" })).body?.cancel();
  const [again] = await publishNumbers(server.url, channel, 2);
  assert.ok(first !== undefined && again !== undefined);
  const before = first.offset.slice(0, 10) +
    "0000000000000004";
  const old = await weir.history(channel, { before });
  assert.deepEqual(summary(old), [[], true, undefined]);
  assert.deepEqual(summary(await weir.history(channel)), [[1, 2], true, undefined]);
  const events: unknown[] = [];
  for await (const item of weir.subscribe(channel, { after: none.cursor })) {
    events.push(item.kind === "event" ? item.data : item.kind);
    if (events.length === 2) break;
  }
  assert.equal(events.at(-1), 2);
});

Deno.test("history has data as published: text, bytes, and the output of a schema", async () => {
  await using server = await LocalServer.start();
  await using weir = connect(server.url);
  const channel = newChannel();
  const text = await post(server.url, channel, "plain", { "Content-Type": "text/plain" });
  const bytes = await post(server.url, channel, new Uint8Array([0, 255]), {});
  await Promise.all([text.text(), bytes.text()]);
  await publish(server.url, channel, { total: "40" });
  const { events } = await weir.history(channel);
  assert.deepEqual(events.map(({ data }) => data), [
    "plain",
    new Uint8Array([0, 255]),
    { total: "40" },
  ]);
  const schema = z.object({ total: z.coerce.number() });
  const last = await weir.history(channel, { limit: 1, schema });
  assert.equal(last.events[0]?.data.total, 40);
  await assert.rejects(weir.history(channel, { schema }), { code: "bad_data" });
});

Deno.test("history refuses an invalid offset or limit", async () => {
  const link = new FakeLink();
  await assert.rejects(readHistory(link, "a", { before: "yesterday" }), { code: "bad_cursor" });
  for (const limit of [0, -1, NaN]) {
    await assert.rejects(readHistory(link, "a", { limit }), { code: "bad_parameter" });
  }
  assert.equal(link.calls.length, 0);
});

Deno.test("paging back through a log with gaps returns each remaining event once and in order", async () => {
  const log = fc.record({
    last: fc.nat(40),
    kept: fc.nat(40),
    expired: fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 30 }),
    limit: fc.integer({ min: 1, max: 12 }),
  });
  await fc.assert(fc.asyncProperty(log, async ({ last, kept, expired, limit }) => {
    const gone = new Set(expired);
    const first = Math.min(kept, last) + 1;
    const there = range(first, last).filter((n) => !gone.has(n));
    const link = serverOf(there, first, last);
    const pages: History<unknown>[] = [];
    let before: string | undefined;
    do {
      pages.unshift(await readHistory(link, "a", { before, limit }));
      before = pages[0]?.before;
      assert.ok(pages.length <= 41);
    } while (!pages[0]?.isComplete);
    assert.deepEqual(pages.flatMap(({ events }) => events.map(({ data }) => data)), there);
    assert.equal(pages.at(-1)?.cursor, at(last));
    // Only the earliest page may be empty.
    for (const page of pages.slice(1)) assert.ok(page.events.length > 0);
  }));
});

/** Answers like a server whose log ranges from `first` to `last` and still has these events. */
function serverOf(there: readonly number[], first: number, last: number): FakeLink {
  return new FakeLink((call) => {
    assert.ok(call.op === "get");
    const query = new URL(call.path, "http://weir").searchParams;
    const limit = Number(query.get("limit"));
    assert.ok(limit >= 1 && limit <= 1_000);
    const before = query.get("before") ?? "";
    const end = before === "latest" ? last : Number(before.slice(10)) - 1;
    // A page may have less than was asked for, as one of large events has.
    const start = Math.max(first, end - Math.min(limit, 7) + 1);
    return {
      events: there.filter((n) => n >= start && n <= end)
        .map((n) => ({ ...EVENT, offset: at(n), id: at(n), data: n })),
      cursor: at(end),
      before: start > first ? at(start) : null,
    };
  });
}

const EVENT: Partial<WeirEvent> = { channel: "a", type: "message", contentType: "text/json" };

function summary({ events, isComplete, before }: History<unknown>) {
  return [events.map(({ data }) => data), isComplete, before];
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}
