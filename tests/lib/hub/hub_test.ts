import assert from "node:assert/strict";
import { Hub } from "../../../lib/hub/hub.ts";
import type { Sink } from "../../../lib/hub/sink.ts";
import type { Log } from "../../../lib/log/log.ts";
import { channelOf } from "../../../lib/shared/channel.ts";
import { ORIGIN } from "../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { FakeSink } from "../../support/fake_sink.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");

Deno.test("a full sink is closed as slow after the timeout, and no other sink is", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log, stallTimeoutMs: 50 });
  const [stuck, quick] = [new FakeSink(1), new FakeSink(Infinity)];
  for (const sink of [stuck, quick]) await subscribe(hub, sink);
  for (let i = 0; i < 3; i++) await log.append([draft("a", `${i}`)]);
  await until("the sink is closed", () => stuck.closedFor !== undefined);
  assert.equal(stuck.closedFor, "slow");
  await log.append([draft("a", "3")]);
  await until("the other sink has all events", () => quick.events.length === 4);
  assert.equal(quick.closedFor, undefined);
  await hub.close();
  assert.equal(quick.closedFor, "stopping");
});

Deno.test("a full sink counts as catching up, until it has drained and is live again", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  const [full, quick] = [new FakeSink(1), new FakeSink(Infinity)];
  for (const sink of [full, quick]) await subscribe(hub, sink);
  assert.deepEqual(hub.subscriptions, { live: 2, catchingUp: 0, lag: 0 });
  for (let i = 0; i < 3; i++) await log.append([draft("a", `${i}`)]);
  await until("one is behind", () => hub.subscriptions.catchingUp === 1);
  await until("the other has all events", () => quick.events.length === 3);
  const { live, lag } = hub.subscriptions;
  assert.deepEqual([live, lag], [1, 3 - full.events.length]);
  full.drain(10);
  await until("it is live again", () => hub.subscriptions.catchingUp === 0);
  assert.equal(full.events.length, 3);
  await hub.close();
  assert.deepEqual(hub.subscriptions, { live: 0, catchingUp: 0, lag: 0 });
});

Deno.test("1,000 subscribers that reconnect at once cost the store about one read", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const events = 3_000;
  for (let i = 0; i < events; i += 100) {
    await log.append(Array.from({ length: 100 }, (_, j) => draft("a", `${i + j}`)));
  }
  const { counted, reads } = countReads(log);
  const hub = new Hub({ log: counted });
  const sinks = Array.from({ length: 1_000 }, () => new FakeSink(Infinity));
  await Promise.all(sinks.map((sink) => subscribe(hub, sink, "earliest")));
  await until(
    "all sinks have all events",
    () => sinks.every((sink) => sink.events.length === events),
  );
  assert.ok(reads() <= 12, `${reads()} reads`);
  await hub.close();
});

Deno.test("full sinks from before a channel's first event cost the store no read", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const { counted, reads } = countReads(log);
  const hub = new Hub({ log: counted });
  const sinks = Array.from({ length: 100 }, () => new FakeSink(0));
  for (const sink of sinks) await subscribe(hub, sink);
  await log.append([draft("a", "1"), draft("a", "2")]);
  await until("all wait for room", () => hub.subscriptions.catchingUp === sinks.length);
  for (const sink of sinks) sink.drain(2);
  await until("all have all events", () => sinks.every(({ events }) => events.length === 2));
  assert.equal(reads(), 0);
  await hub.close();
});

Deno.test("the channels of one connection share its room", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const channels = Array.from({ length: 50 }, (_, i) => testChannelKey(`c${i}`));
  for (const channel of channels) await log.append([draft(channelOf(channel), "1")]);
  const hub = new Hub({ log });
  const room = Promise.withResolvers<void>();
  let writes = 0;
  let most = 1;
  const sink: Sink = {
    eventBytes: 64,
    write: () => void writes++,
    deliverEphemeral: () => 0,
    takenAt: 0,
    hasRoom: () => writes < most,
    drained: () => writes < most ? Promise.resolve() : room.promise,
    close: () => {},
  };
  const subscriptions = await Promise.all(
    channels.map((channel) => hub.subscribe(channel, "earliest", sink)),
  );
  for (const subscription of subscriptions) subscription.start();
  await until("the first write has come", () => writes > 0);
  // This read begins after those of the subscriptions, so it is answered after them.
  await log.read(channels[0] ?? A, ORIGIN, 1);
  assert.equal(writes, 1);
  most = Infinity;
  room.resolve();
  await until("all writes have come", () => writes === channels.length);
  await hub.close();
});

Deno.test("a closed hub refuses subscriptions", async () => {
  await using store = await openEmbedded();
  const hub = new Hub({ log: await store.isolate() });
  await hub.close();
  await assert.rejects(hub.subscribe(A, "latest", new FakeSink(1)), { code: "shutting_down" });
});

Deno.test("a closed subscription does not wait for a store that does not answer", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  await log.append([draft("a", "1")]);
  const answer = Promise.withResolvers<never>();
  const asked = Promise.withResolvers<void>();
  const away = withRead(log, () => {
    asked.resolve();
    return answer.promise;
  });
  const hub = new Hub({ log: away });
  await subscribe(hub, new FakeSink(1), "earliest");
  await asked.promise;
  await hub.close();
  answer.reject(new Error("away")); // must not start a timer: the sanitizer would find it
});

Deno.test("a channel without subscribers is no longer followed after a while", async () => {
  await using store = await openEmbedded();
  const hub = new Hub({ log: await store.isolate(), lingerMs: 1 });
  const subscription = await hub.subscribe(A, "latest", new FakeSink(1));
  assert.equal(hub.size, 1);
  subscription.close();
  await until("the channel is no longer followed", () => hub.size === 0);
  await hub.close();
});

for (const after of ["latest", "earliest"] as const) {
  Deno.test(`a subscriber at ${after} of a deleted channel gets none of its events`, async () => {
    await using store = await openEmbedded();
    const [own, other] = [await store.isolate(), await store.isolate()];
    await other.append([draft("a", "deleted")]);
    // The tail hears of the deletion only after the subscriber has come.
    let heard = () => {};
    const late = withRead(own, (...args) => own.read(...args));
    late.listen = (_, listener) => {
      heard = () => listener.changed();
      return { [Symbol.dispose]() {} };
    };
    const hub = new Hub({ log: late });
    await subscribe(hub, new FakeSink(Infinity), "earliest");
    await until("the cache has the event", () => hub.subscriptions.catchingUp === 0);
    await other.delete(A);
    const sink = new FakeSink(Infinity);
    await subscribe(hub, sink, after);
    await other.append([draft("a", "next")]);
    heard();
    await until("it has the next event", () => sink.events.length > 0);
    assert.deepEqual(sink.events.map(({ event }) => event.data), ["next"]);
    assert.equal(sink.gaps, 0);
    assert.deepEqual(sink.position, await hub.latest(A));
    await hub.close();
  });
}

Deno.test("a change is not missed while the read for an earlier one ends", async () => {
  await using store = await openEmbedded();
  const [own, other] = [await store.isolate(), await store.isolate()];
  for (let microtasks = 0; microtasks < 10; microtasks++) {
    let heard = () => {};
    let isFirst = true;
    const log = withRead(own, async (...args) => {
      const result = await own.read(...args);
      if (isFirst) {
        isFirst = false;
        await other.append([draft("a", `${microtasks}`)]);
        void (async () => {
          for (let i = 0; i < microtasks; i++) await undefined;
          heard();
        })();
      }
      return result;
    });
    log.listen = (_, listener) => {
      heard = () => listener.changed();
      return { [Symbol.dispose]() {} };
    };
    const hub = new Hub({ log });
    const sink = new FakeSink(Infinity);
    await subscribe(hub, sink);
    heard();
    await until("the event has arrived", () => sink.events.length === 1);
    await hub.close();
  }
});

Deno.test("an event is not missed that comes while the tail of a long channel opens", async () => {
  await using store = await openEmbedded();
  const own = await store.isolate();
  for (let i = 0; i < 30; i++) {
    await own.append(Array.from({ length: 100 }, () => draft("a", "0")));
  }
  const { end } = await own.bounds(A);
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const log = withRead(own, async (...args) => {
    const result = await own.read(...args);
    await opened;
    return result;
  });
  log.bounds = async (channelKey) => {
    const bounds = await own.bounds(channelKey);
    await own.append([draft("a", "1")]);
    return bounds;
  };
  const hub = new Hub({ log });
  const sink = new FakeSink(Infinity);
  const subscription = await hub.subscribe(A, end, sink);
  sink.startAt(end);
  subscription.start();
  open();
  await until("the event has arrived", () => sink.events.length === 1);
  await hub.close();
});

async function subscribe(
  hub: Hub,
  sink: FakeSink,
  after: "earliest" | "latest" = "latest",
): Promise<void> {
  const subscription = await hub.subscribe(A, after, sink);
  sink.startAt(subscription.position);
  subscription.start();
}

/** Returns `log`, and how often it was read. */
function countReads(log: Log): { readonly counted: Log; readonly reads: () => number } {
  let count = 0;
  const counted = withRead(log, (...args) => {
    count++;
    return log.read(...args);
  });
  return { counted, reads: () => count };
}

/** Returns `log` with its read() replaced. */
function withRead(log: Log, read: Log["read"]): Log {
  return {
    append: (drafts) => log.append(drafts),
    head: (channelKey) => log.head(channelKey),
    bounds: (channelKey) => log.bounds(channelKey),
    read,
    readBefore: (...args) => log.readBefore(...args),
    channels: (tenant, after, limit) => log.channels(tenant, after, limit),
    configure: (channelKey, retention) => log.configure(channelKey, retention),
    delete: (channelKey) => log.delete(channelKey),
    listen: (channelKey, listener) => log.listen(channelKey, listener),
    retain: () => log.retain(),
    close: () => log.close(),
  };
}
