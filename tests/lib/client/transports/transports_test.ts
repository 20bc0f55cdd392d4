import assert from "node:assert/strict";
import type { TransportName, Weir } from "../../../../lib/client/api.ts";
import { connect } from "../../../../lib/client/client.ts";
import { makeClient } from "../../../../lib/client/make_client.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { quickRetriesOver } from "../../../support/client_platform.ts";
import { EVERY_TRANSPORT, proxyFor, withTransport } from "../../../support/every_transport.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel, post, publish, publishNumbers } from "../../../support/publishing.ts";
import { until } from "../../../support/until.ts";

interface World {
  readonly server: LocalServer;
  readonly proxy: FaultProxy;
  readonly weir: Weir;
}

/** Adds a test for each transport, each with its own server. */
function onEach(name: string, test: (world: World, transport: TransportName) => Promise<void>) {
  for (const transport of EVERY_TRANSPORT) {
    Deno.test(`${transport}: ${name}`, async () => {
      await using server = await withTransport(transport, await LocalServer.start());
      await using proxy = proxyFor(transport, server);
      const platform = quickRetriesOver(transport);
      await using weir = makeClient(proxy.url, { transports: [transport] }, platform);
      await test({ server, proxy, weir }, transport);
    });
  }
}

/** Collects the items of the channel. */
function readInto(weir: Weir, channel: string, after: string): unknown[] {
  const found: unknown[] = [];
  weir.listen(channel, {
    after,
    onEvent: ({ data }) => void found.push(data),
    onGap: ({ reason, lost }) => void found.push({ reason, lost }),
    onError: ({ code }) => void found.push(code),
  });
  return found;
}

onEach("delivers existing events, then new ones", async ({ server, weir }, transport) => {
  const channel = newChannel();
  await publishNumbers(server.url, channel, 3);
  const events = weir.subscribe(channel, { after: "earliest", onGap: "throw" });
  const found: unknown[] = [];
  for await (const event of events) {
    found.push(event.data);
    assert.equal(events.cursor, event.offset);
    assert.equal(event.id, event.offset);
    assert.deepEqual(
      [event.kind, event.channel, event.type, event.contentType],
      ["event", channel, "message", "application/json"],
    );
    if (found.length === 3) await publish(server.url, channel, "live");
    if (found.length === 4) break;
  }
  assert.deepEqual(found, [1, 2, 3, "live"]);
  assert.deepEqual(weir.state.value, { status: "open", transport });
});

onEach("delivers text, bytes, types and keys as published", async ({ server, weir }) => {
  const channel = newChannel();
  const text = await post(server.url, channel, "a\r\nb", {
    "Content-Type": "text/plain",
    "Weir-Type": "note",
    "Weir-Key": "k",
  });
  const bytes = await post(server.url, channel, new Uint8Array([0, 255, 10]), {
    "Content-Type": "application/octet-stream",
  });
  for (const answer of [text, bytes]) assert.equal((await answer.json()).channel, channel);
  const found = [];
  for await (const event of weir.subscribe(channel, { after: "earliest", onGap: "throw" })) {
    found.push(event);
    if (found.length === 2) break;
  }
  const [first, second] = found;
  assert.deepEqual([first?.data, first?.type, first?.key], ["a\r\nb", "note", "k"]);
  assert.deepEqual(second?.data, new Uint8Array([0, 255, 10]));
  assert.ok(second !== undefined && !("encoding" in second) && !("key" in second));
});

onEach(
  "many channels share connections, also when some are added and removed",
  async ({ server, proxy, weir }, transport) => {
    const channels = Array.from({ length: 5 }, newChannel);
    const found = channels.map((channel) => readInto(weir, channel, "earliest"));
    await until("it is open", () => weir.state.value.status === "open");
    for (const channel of channels) await publish(server.url, channel, "first");
    await until("all have it", () => found.every(({ length }) => length === 1));

    const late = newChannel();
    await publish(server.url, late, "before");
    const lateFound = readInto(weir, late, "earliest");
    const leaving = weir.listen(late, { after: "earliest", onEvent() {}, onGap: "throw" });
    await until("the late one is read", () => lateFound.length === 1);
    leaving.close();
    for (const channel of [...channels, late]) await publish(server.url, channel, "second");
    await until("all have it", () => [...found, lateFound].every(({ length }) => length === 2));

    assert.deepEqual(found, channels.map(() => ["first", "second"]));
    assert.deepEqual(lateFound, ["before", "second"]);
    if (transport === "websocket" || transport === "sse") {
      await until("one connection is left", () => proxy.open([transport]) === 1);
    }
    if (transport === "webtransport") assert.equal(proxy.count([transport]), 1);
  },
);

onEach(
  "each reader of a channel receives everything after its start",
  async ({ server, weir }) => {
    const channel = newChannel();
    const acks = await publishNumbers(server.url, channel, 20);
    const all = readInto(weir, channel, "earliest");
    await until("the first has all", () => all.length === 20);
    const some = readInto(weir, channel, acks[14]?.offset ?? "");
    const again = readInto(weir, channel, "earliest");
    await until("all are read", () => some.length === 5 && again.length === 20);
    let start: string | undefined;
    const latest: unknown[] = [];
    weir.listen(channel, {
      after: "latest",
      onStart: (cursor) => start = cursor,
      onEvent: ({ data }) => void latest.push(data),
      onGap: "throw",
    });
    await until("the last has begun", () => start !== undefined);
    assert.equal(start, acks[19]?.offset);
    await publish(server.url, channel, 21);
    await until("it is read", () => [all, some, again, latest].every((list) => list.at(-1) === 21));
    const numbers = Array.from({ length: 21 }, (_, i) => i + 1);
    assert.deepEqual(all, numbers);
    assert.deepEqual(again, numbers);
    assert.deepEqual(some, numbers.slice(15));
    assert.deepEqual(latest, [21]);
  },
);

onEach("delivers a gap where events are no longer available", async ({ server, weir }) => {
  const channel = newChannel();
  const [first] = await publishNumbers(server.url, channel, 2);
  const path = `${server.url}/v1/channels/${encodeURIComponent(channel)}`;
  const found = readInto(weir, channel, first?.offset ?? "");
  await until("it is read", () => found.length === 1);
  const deleted = await fetch(path, { method: "DELETE" });
  assert.equal(deleted.status, 204);
  await publish(server.url, channel, "new life");
  await until("it is read", () => found.at(-1) === "new life");
  assert.deepEqual(found, [2, { reason: "recreated", lost: null }, "new life"]);
});

onEach("an invalid channel name ends only its own subscription", async ({ server, weir }) => {
  const channel = newChannel();
  const good = readInto(weir, channel, "earliest");
  const bad = readInto(weir, "a\nb", "earliest");
  const badCursor = readInto(weir, newChannel(), "yesterday");
  await publish(server.url, channel, 1);
  await until("all are reported", () => [good, bad, badCursor].every(({ length }) => length > 0));
  assert.deepEqual([good, bad, badCursor], [[1], ["bad_channel"], ["bad_cursor"]]);
});

onEach("names with dots work, but those of dot segments of a URL are refused", async ({ weir }) => {
  for (const channel of ["...", ".a", "a/../b", newChannel()]) {
    await weir.publish(channel, 1);
    const found = readInto(weir, channel, "earliest");
    await until("it is read", () => found.length === 1);
    const { events } = await weir.history(channel);
    assert.deepEqual([found, events.map(({ data }) => data)], [[1], [1]]);
  }
  for (const channel of [".", ".."]) {
    await assert.rejects(weir.publish(channel, 1), { code: "bad_channel" });
    await assert.rejects(weir.history(channel), { code: "bad_channel" });
  }
});

Deno.test("more than 100 channels are read by several requests", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  await using weir = connect(proxy.url, { transports: ["sse"] });
  const channels = Array.from({ length: 130 }, newChannel);
  const [first] = await publishNumbers(server.url, channels[0] ?? "", 1);
  const found = channels.map((channel) => readInto(weir, channel, first?.offset ?? ""));
  await until("both streams are there", () => proxy.open(["sse"]) === 2);
  // Each has one event. After an offset of another channel, readers see a new epoch.
  for (const channel of channels.slice(1)) await publish(server.url, channel, "x");
  await until("all are read", () => found.slice(1).every((list) => list.at(-1) === "x"));
  assert.deepEqual(found[0], []);
});

Deno.test("a socket reads a thousand channels, and subscribes to them in steps", async () => {
  await using server = await LocalServer.start();
  await using weir = connect(server.url, { transports: ["websocket"] });
  const channels = Array.from({ length: 1_000 }, newChannel);
  let started = 0;
  for (const channel of channels) {
    weir.listen(channel, { onEvent() {}, onGap: "throw", onStart: () => started++ });
  }
  await until("all are read", () => started === channels.length);
});

Deno.test("an unused client opens no connection and closes immediately", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const weir = connect(proxy.url);
  assert.deepEqual(weir.state.value, { status: "idle" });
  await weir.close();
  assert.deepEqual(weir.state.value, { status: "closed" });
  assert.equal(proxy.requests.length, 0);
});

Deno.test("a signal closes the client and its subscriptions, also if it has already aborted", async () => {
  await using server = await LocalServer.start();
  const early = connect(server.url, { signal: AbortSignal.abort() });
  assert.equal(early.state.value.status, "closed");
  for await (const _ of early.subscribe("a")) assert.fail();
  await assert.rejects(early.publish("a", 1), { code: "closed" });

  const abort = new AbortController();
  const weir = connect(server.url, { signal: abort.signal });
  const events = weir.subscribe("a", { after: "earliest" });
  const read = (async () => {
    for await (const _ of events) assert.fail();
  })();
  await until("it is open", () => weir.state.value.status === "open");
  abort.abort();
  await read;
  await weir.close();
});

Deno.test("a base URL's path comes before all other paths", async () => {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    asked.push(new URL(url).pathname);
    return Response.json({ events: [], cursor: "000000000_0000000000000000", upToDate: true });
  });
  const weir = connect(`http://127.0.0.1:${server.addr.port}/events/at?x=1#y`, {
    transports: ["short-poll"],
  });
  const found = readInto(weir, "a", "earliest");
  await until("it is open", () => weir.state.value.status === "open");
  await weir.close();
  await server.shutdown();
  assert.deepEqual(found, []);
  assert.deepEqual(asked, ["/events/at/v1/events", "/events/at/v1/events"]);
});
