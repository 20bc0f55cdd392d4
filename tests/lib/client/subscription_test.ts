import assert from "node:assert/strict";
import { z } from "zod";
import type { Gap, ListenOptions, SubscribeOptions, WeirEvent } from "../../../lib/client/api.ts";
import { KeptCursor } from "../../../lib/client/kept_cursor.ts";
import { listening, subscription } from "../../../lib/client/subscription.ts";
import { WeirError } from "../../../lib/client/weir_error.ts";
import { FakeLink } from "../../support/fake_link.ts";
import { until } from "../../support/until.ts";

const offsetOf = (n: number) => `0mwpu38co_${String(n).padStart(16, "0")}`;

function event(n: number, data: unknown = n): WeirEvent {
  const offset = offsetOf(n);
  const time = "2026-11-21T03:13:58.566Z";
  const contentType = "application/json";
  return {
    kind: "event",
    channel: "a",
    offset,
    id: offset,
    type: "message",
    time,
    contentType,
    data,
  };
}

const GAP: Gap = {
  kind: "gap",
  channel: "a",
  reason: "expired",
  requested: offsetOf(1),
  firstAvailable: offsetOf(5),
  lost: 3,
};

function subscribe<T>(options: SubscribeOptions<T> = {}) {
  const link = new FakeLink();
  const events = subscription({ link, channel: "a", kept: undefined }, options);
  const [feed] = link.feeds;
  assert.ok(feed !== undefined);
  feed.listener.started(offsetOf(0));
  return { link, events, feed, next: events[Symbol.asyncIterator]() };
}

function listen<T>(options: Partial<ListenOptions<T>> = {}) {
  const link = new FakeLink();
  const told: unknown[] = [];
  const listener = listening({ link, channel: "a", kept: undefined }, {
    onEvent: ({ data }, cursor) => void told.push([data, cursor]),
    onGap: (gap) => void told.push(gap),
    onError: ({ code }) => void told.push(code),
    onStart: (cursor) => void told.push(cursor),
    onEphemeral: ({ data }) => void told.push({ data }),
    ...options,
  });
  const [feed] = link.feeds;
  return { link, told, feed, listener };
}

Deno.test("items come in order, and the cursor is behind the last that was read", async () => {
  const { events, feed, next } = subscribe({ after: offsetOf(0) });
  assert.equal(feed.after, offsetOf(0));
  assert.equal(events.cursor, offsetOf(0));
  feed.listener.event(event(1));
  feed.listener.gap(GAP);
  feed.listener.event(event(5));
  assert.equal(events.cursor, offsetOf(0));
  assert.deepEqual(await next.next(), { done: false, value: event(1) });
  assert.equal(events.cursor, offsetOf(1));
  assert.deepEqual(await next.next(), { done: false, value: GAP });
  assert.equal(events.cursor, offsetOf(4));
  assert.deepEqual(await next.next(), { done: false, value: event(5) });
  assert.throws(() => events[Symbol.asyncIterator](), TypeError);
  await next.return?.();
  assert.equal(feed.isClosed, true);
  assert.equal(events.cursor, offsetOf(5));
});

Deno.test("a subscription without a place begins at the latest, and one with a store where that says", async () => {
  assert.equal(subscribe().feed.after, "latest");
  const saved = new Map([["a", offsetOf(7)]]);
  const store = {
    get: (channel: string) => Promise.resolve(saved.get(channel)),
    set: (channel: string, cursor: string) => void saved.set(channel, cursor),
  };
  const link = new FakeLink();
  const kept = Promise.resolve(new KeptCursor(store, "a", assert.fail));
  const events = subscription({ link, channel: "a", kept }, {});
  await until("the store was asked", () => link.feeds.length === 1);
  const [feed] = link.feeds;
  assert.equal(feed?.after, offsetOf(7));
  feed?.listener.started(offsetOf(7));
  feed?.listener.event(event(8));
  feed?.listener.event(event(9));
  for await (const item of events) {
    // What is in the application's hands is not done with.
    assert.equal(saved.get("a"), offsetOf(7));
    assert.deepEqual(item, event(8));
    break;
  }
  assert.equal(saved.get("a"), offsetOf(8));
});

Deno.test("gaps go to onGap in their place, or end the subscription", async () => {
  const seen: unknown[] = [];
  const { feed, next } = subscribe({ onGap: (gap) => void seen.push(gap) });
  feed.listener.event(event(1));
  feed.listener.gap(GAP);
  feed.listener.event(event(5));
  await next.next();
  assert.deepEqual(seen, []);
  assert.deepEqual(await next.next(), { done: false, value: event(5) });
  assert.deepEqual(seen, [GAP]);

  const throwing = subscribe({ onGap: "throw" });
  throwing.feed.listener.event(event(1));
  throwing.feed.listener.gap(GAP);
  await throwing.next.next();
  await assert.rejects(throwing.next.next(), { name: "WeirError", code: "gap" });
  assert.equal(throwing.feed.isClosed, true);
  assert.equal(throwing.events.cursor, offsetOf(1)); // what is missing is still missing
});

Deno.test("a schema types the data, or ends the subscription", async () => {
  const schema = z.object({ a: z.coerce.number() });
  const { feed, next, events } = subscribe({ schema, onGap: "throw" });
  feed.listener.event(event(1, { a: "7" }));
  feed.listener.event(event(2, { b: 1 }));
  feed.listener.event(event(3, { a: 1 }));
  assert.deepEqual((await next.next()).value, { ...event(1), data: { a: 7 } });
  await assert.rejects(next.next(), { code: "bad_data" });
  assert.equal(events.cursor, offsetOf(1));
  assert.deepEqual(await next.next(), { done: true, value: undefined });

  const failing = subscribe({
    schema: {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: () => Promise.reject(new Error("no")),
      },
    },
  });
  failing.feed.listener.event(event(1));
  await assert.rejects(failing.next.next(), { code: "bad_data" });
});

Deno.test("a slow application holds 4,000 events or 4 MiB, and the rest stays in the log", async () => {
  const { feed, next } = subscribe();
  for (let n = 1; n <= 4_000; n++) {
    assert.equal(feed.isPaused, false);
    feed.listener.event(event(n), 100);
  }
  assert.equal(feed.isPaused, true);
  for (let n = 1; n <= 2_999; n++) await next.next();
  assert.equal(feed.isPaused, true);
  await next.next();
  assert.equal(feed.isPaused, false);

  const large = subscribe();
  for (let n = 1; n <= 4; n++) large.feed.listener.event(event(n), 1024 ** 2);
  assert.equal(large.feed.isPaused, true);
  for (let n = 1; n <= 3; n++) await large.next.next();
  assert.equal(large.feed.isPaused, false);
});

Deno.test("a signal, before or while it waits, ends it without an error", async () => {
  const abort = new AbortController();
  const { feed, next } = subscribe({ signal: abort.signal });
  feed.listener.event(event(1));
  await next.next();
  const waiting = next.next();
  feed.listener.event(event(2));
  abort.abort();
  // What waits when it ends is not given out.
  assert.deepEqual((await waiting).done, true);
  assert.equal(feed.isClosed, true);

  const link = new FakeLink();
  const signal = AbortSignal.abort();
  for await (const _ of subscription({ link, channel: "a", kept: undefined }, { signal })) {
    assert.fail();
  }
  assert.equal(link.feeds.length, 0);
});

Deno.test("what was there before an error is read before it is thrown; closing is none", async () => {
  const { feed, next } = subscribe();
  feed.listener.event(event(1));
  feed.listener.ended(new WeirError("forbidden", "No."));
  assert.deepEqual((await next.next()).value, event(1));
  await assert.rejects(next.next(), { code: "forbidden" });

  const closed = subscribe();
  const waiting = closed.next.next();
  await closed.link.close();
  assert.deepEqual(await waiting, { done: true, value: undefined });
});

Deno.test("callbacks are told the same, and nothing after the end", async () => {
  const { feed, told, listener } = listen();
  feed?.listener.started(offsetOf(0));
  feed?.listener.event(event(1));
  feed?.listener.gap(GAP);
  feed?.listener.event(event(5));
  feed?.listener.ephemeral({
    kind: "ephemeral",
    channel: "a",
    type: "t",
    time: "",
    data: "typing",
  });
  await until("all were told", () => listener.cursor === offsetOf(5));
  assert.deepEqual(told, [
    offsetOf(0),
    { data: "typing" },
    [1, offsetOf(1)],
    GAP,
    [5, offsetOf(5)],
  ]);
  feed?.listener.event(event(6));
  listener.close();
  await undefined;
  assert.equal(told.length, 5);
  assert.equal(feed?.isClosed, true);
});

Deno.test("callbacks are told why it ended, but not that they ended it", async () => {
  const { feed, told, link } = listen();
  feed?.listener.ended(new WeirError("forbidden", "No."));
  await until("it is told", () => told.length === 1);
  assert.deepEqual(told, ["forbidden"]);
  const other = listen();
  await other.link.close();
  await link.close();
  assert.deepEqual(other.told, []);
});

Deno.test("the start is told again after each reconnect", async () => {
  const { feed, told, link, listener } = listen();
  link.lose();
  link.reconnect();
  assert.deepEqual(told, []);
  feed?.listener.started(offsetOf(0));
  link.lose();
  feed?.listener.event(event(1));
  await until("it was told", () => listener.cursor === offsetOf(1));
  link.reconnect();
  assert.deepEqual(told, [offsetOf(0), [1, offsetOf(1)], offsetOf(1)]);
});
