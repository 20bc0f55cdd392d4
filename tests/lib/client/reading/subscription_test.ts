import assert from "node:assert/strict";
import { z } from "zod";
import type {
  Gap,
  ListenOptions,
  SubscribeOptions,
  WeirEvent,
} from "../../../../lib/client/api.ts";
import { SavedCursors } from "../../../../lib/client/reading/saved_cursors.ts";
import {
  listen as listenTo,
  subscribe as subscribeTo,
} from "../../../../lib/client/reading/subscription.ts";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { FakeLink } from "../../../support/fake_link.ts";
import { nextUncaught } from "../../../support/uncaught.ts";
import { until } from "../../../support/until.ts";

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
  const events = subscribeTo({ link, channel: "a", savedCursor: undefined }, options);
  const [feed] = link.feeds;
  assert.ok(feed !== undefined);
  feed.listener.started(offsetOf(0));
  return { link, events, feed, next: events[Symbol.asyncIterator]() };
}

function listen<T>(options: Partial<ListenOptions<T>> = {}) {
  const link = new FakeLink();
  const told: unknown[] = [];
  const listener = listenTo({ link, channel: "a", savedCursor: undefined }, {
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

/** Makes a store and its cursor of channel `a`. */
function keeping(cursor?: string) {
  const saved = new Map(cursor === undefined ? [] : [["a", cursor]]);
  const cursors = new SavedCursors({
    get: (channel) => Promise.resolve(saved.get(channel)),
    set: (channel, cursor) => void saved.set(channel, cursor),
  }, assert.fail);
  return { saved, savedCursor: Promise.resolve(cursors.forChannel("a")) };
}

Deno.test("items arrive in order, and the cursor is after the last one read", async () => {
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

Deno.test("a subscription without `after` begins at the stored cursor, or at the latest event", async () => {
  assert.equal(subscribe().feed.after, "latest");
  const { savedCursor, saved } = keeping(offsetOf(7));
  const link = new FakeLink();
  const events = subscribeTo({ link, channel: "a", savedCursor }, {});
  await until("the store was asked", () => link.feeds.length === 1);
  const [feed] = link.feeds;
  assert.equal(feed?.after, offsetOf(7));
  feed?.listener.started(offsetOf(7));
  feed?.listener.event(event(8));
  feed?.listener.event(event(9));
  for await (const item of events) {
    // The application is still processing this item.
    assert.equal(saved.get("a"), offsetOf(7));
    if (item.kind === "event" && item.data === 9) break;
    assert.deepEqual(item, event(8));
  }
  // The item at which the loop ended is not done either.
  await until("the last cursor is saved", () => saved.get("a") === offsetOf(8));
  assert.equal(events.cursor, offsetOf(9));
});

Deno.test("the cursor of an event whose processing throws is not saved", async () => {
  const { savedCursor, saved } = keeping();
  const link = new FakeLink();
  const events = subscribeTo({ link, channel: "a", savedCursor }, { after: offsetOf(0) });
  link.feeds[0]?.listener.started(offsetOf(0));
  link.feeds[0]?.listener.event(event(1));
  const work = (async () => {
    for await (const _ of events) throw new Error("the database is away");
  })();
  await assert.rejects(work, /database/);
  await (await savedCursor).close();
  assert.equal(saved.get("a"), offsetOf(0));
});

Deno.test("the cursor is saved once the promise of a callback has resolved", async () => {
  const { savedCursor, saved } = keeping();
  const link = new FakeLink();
  const gates: PromiseWithResolvers<void>[] = [];
  const gate = () => {
    const made = Promise.withResolvers<void>();
    gates.push(made);
    return made.promise;
  };
  const listener = listenTo({ link, channel: "a", savedCursor }, {
    after: offsetOf(0),
    onEvent: gate,
    onGap: gate,
  });
  const [feed] = link.feeds;
  feed?.listener.started(offsetOf(0));
  feed?.listener.event(event(1));
  feed?.listener.gap(GAP);
  feed?.listener.event(event(5));
  for (let n = 6; n <= 4_004; n++) feed?.listener.event(event(n));
  await until("it works on the first", () => gates.length === 1);
  assert.deepEqual([saved.get("a"), feed?.isPaused], [offsetOf(0), true]);
  gates[0]?.resolve();
  await until("it works on the gap", () => gates.length === 2);
  gates[1]?.resolve();
  await until("it works on the next", () => gates.length === 3);
  listener.close();
  gates[2]?.resolve();
  await until("that cursor is saved too", () => saved.get("a") === offsetOf(5));
  assert.equal(gates.length, 3);
});

Deno.test("a rejection of a callback is an uncaught error and does not end the subscription", async () => {
  const uncaught = nextUncaught();
  const told: unknown[] = [];
  const { feed } = listen({
    async onEvent({ data }) {
      told.push(data);
      await undefined;
      if (data === 1) throw new Error("of the application");
    },
  });
  feed?.listener.event(event(1));
  feed?.listener.event(event(2));
  await until("both arrive", () => told.length === 2);
  assert.match(String(await uncaught), /of the application/);
});

Deno.test("return() and close() end a subscription immediately, also before and during a read", async () => {
  const waited = subscribe();
  const waiting = waited.next.next();
  await waited.next.return?.();
  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.equal(waited.feed.isClosed, true);

  const unread = subscribe();
  await unread.next.return?.();
  assert.equal(unread.feed.isClosed, true);
  assert.equal((await unread.next.next()).done, true);

  const closed = subscribe();
  closed.feed.listener.event(event(1));
  closed.events.close();
  assert.equal(closed.feed.isClosed, true);
  assert.equal((await closed.next.next()).done, true);
});

Deno.test("gaps go to onGap in order, or end the subscription", async () => {
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
  assert.equal(throwing.events.cursor, offsetOf(1)); // before the gap
});

Deno.test("a schema converts the data, or ends the subscription", async () => {
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

Deno.test("at most 4,000 events or 4 MiB wait for a slow application; the rest stays in the log", async () => {
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

Deno.test("a signal ends a subscription without an error, also if it has already aborted", async () => {
  const abort = new AbortController();
  const { feed, next } = subscribe({ signal: abort.signal });
  feed.listener.event(event(1));
  await next.next();
  const waiting = next.next();
  feed.listener.event(event(2));
  abort.abort();
  // Queued items are dropped at the end.
  assert.deepEqual((await waiting).done, true);
  assert.equal(feed.isClosed, true);

  const link = new FakeLink();
  const signal = AbortSignal.abort();
  for await (const _ of subscribeTo({ link, channel: "a", savedCursor: undefined }, { signal })) {
    assert.fail();
  }
  assert.equal(link.feeds.length, 0);
});

Deno.test("items before an error are read before it is thrown, and closing is not an error", async () => {
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

Deno.test("callbacks receive the same items, and nothing after the end", async () => {
  const { feed, told, listener } = listen();
  feed?.listener.started(offsetOf(0));
  feed?.listener.event(event(1));
  feed?.listener.gap(GAP);
  feed?.listener.event(event(5));
  feed?.listener.ephemeral({
    kind: "ephemeral",
    channel: "a",
    contentType: "application/json",
    type: "t",
    time: "",
    data: "typing",
  });
  await until("all arrive", () => listener.cursor === offsetOf(5));
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

Deno.test("onError receives why the subscription ended, unless the application ended it", async () => {
  const { feed, told, link } = listen();
  feed?.listener.ended(new WeirError("forbidden", "No."));
  await until("it is reported", () => told.length === 1);
  assert.deepEqual(told, ["forbidden"]);
  const other = listen();
  await other.link.close();
  await link.close();
  assert.deepEqual(other.told, []);
});

Deno.test("onStart is called again after each reconnect", async () => {
  const { feed, told, link, listener } = listen();
  feed?.listener.started(offsetOf(0));
  link.lose();
  feed?.listener.event(event(1));
  await until("it is reported", () => listener.cursor === offsetOf(1));
  link.reconnect();
  assert.deepEqual(told, [offsetOf(0), [1, offsetOf(1)]]); // onStart comes before events
  feed?.listener.started(offsetOf(1));
  assert.deepEqual(told, [offsetOf(0), [1, offsetOf(1)], offsetOf(1)]);
});
