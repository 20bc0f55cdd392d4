import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { OPEN } from "../../../lib/auth/authority.ts";
import { Connections } from "../../../lib/auth/connections.ts";
import { Goodbyes } from "../../../lib/transports/goodbyes.ts";
import { Hub } from "../../../lib/hub/hub.ts";
import { DeliveryClock } from "../../../lib/hub/delivery_clock.ts";
import { EphemeralDelivery } from "../../../lib/hub/ephemeral_delivery.ts";
import { EphemeralBatch } from "../../../lib/hub/ephemeral_batch.ts";
import { offsetOf } from "../../../lib/shared/offset.ts";
import { sseStream } from "../../../lib/transports/sse/stream.ts";
import { TimerWheel } from "../../../lib/transports/timer_wheel.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { FakeSink } from "../../support/fake_sink.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { OPCODE, RawConnection } from "../../support/raw_connection.ts";
import { SocketHost } from "../../support/socket_host.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");
const MiB = 1_048_576;
const LARGE = "x".repeat(16_000);

Deno.test("an ephemeral event is delivered to sinks with room, and never to a full one", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  const [full, quick] = [new FakeSink(1), new FakeSink(Infinity)];
  for (const sink of [full, quick]) await subscribe(hub, sink);
  await log.append([draft("a", "1")]);
  await until("both sinks have the event", () => full.events.length + quick.events.length === 2);
  hub.publishEphemeral(A, ephemeralEvent("missed"));
  await until("the other sink has it", () => quick.ephemeral.length === 1);
  full.drain(10);
  await log.append([draft("a", "2")]);
  await until("the full sink has drained", () => full.events.length === 2);
  hub.publishEphemeral(A, ephemeralEvent("delivered"));
  await until(
    "both sinks have it",
    () => quick.ephemeral.length === 2 && full.ephemeral.length > 0,
  );
  assert.deepEqual(full.ephemeral.map(({ data }) => data), ["delivered"]);
  await hub.close();
});

Deno.test("an ephemeral event does not move the position", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  await log.append([draft("a", "1")]);
  const sink = new FakeSink(Infinity);
  const subscription = await subscribe(hub, sink);
  const before = subscription.position;
  hub.publishEphemeral(A, ephemeralEvent("x"));
  await until("it is delivered", () => sink.ephemeral.length === 1);
  assert.deepEqual(subscription.position, before);
  assert.equal(sink.events.length, 0);
  const [appended] = await log.append([draft("a", "2")]);
  await until("the stored event is delivered", () => sink.events.length === 1);
  assert.equal(offsetOf(sink.position), appended?.offset);
  await hub.close();
});

Deno.test("an ephemeral event is delivered to a subscriber at the end of a deleted channel", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  await log.append([draft("a", "1")]);
  const end = await hub.latest(A);
  await log.delete(A);
  const sink = new FakeSink(Infinity);
  await subscribe(hub, sink, end);
  await until("it is delivered", () => {
    if (sink.ephemeral.length === 0) hub.publishEphemeral(A, ephemeralEvent("x"));
    return sink.ephemeral.length > 0;
  });
  await hub.close();
});

Deno.test("a closed subscription gets no ephemeral events, and a closed hub refuses them", async () => {
  await using store = await openEmbedded();
  const hub = new Hub({ log: await store.isolate() });
  const [gone, stays] = [new FakeSink(Infinity), new FakeSink(Infinity)];
  const subscription = await subscribe(hub, gone);
  await subscribe(hub, stays);
  hub.publishEphemeral(A, ephemeralEvent("on its way"));
  subscription.close();
  await until("the other sink has it", () => stays.ephemeral.length === 1);
  assert.equal(gone.ephemeral.length, 0);
  await hub.close();
  assert.throws(() => hub.publishEphemeral(A, ephemeralEvent("late")), { code: "shutting_down" });
});

Deno.test("ephemeral events that come together are delivered together; of too many, the latest", async () => {
  await using store = await openEmbedded();
  const hub = new Hub({ log: await store.isolate() });
  const batches: EphemeralBatch[] = [];
  await subscribe(
    hub,
    Object.assign(new FakeSink(Infinity), { deliverEphemeral: batches.push.bind(batches) }),
  );
  for (let i = 0; i < 5; i++) hub.publishEphemeral(A, ephemeralEvent(`${i}`));
  await until("it is delivered", () => batches.length > 0);
  assert.deepEqual(batches.map(({ events }) => events.map(({ data }) => data)), [[..."01234"]]);
  for (let i = 0; i < 100; i++) hub.publishEphemeral(A, ephemeralEvent(LARGE));
  hub.publishEphemeral(A, ephemeralEvent("last"));
  await until("it is delivered", () => batches.length > 1);
  const [, many] = batches;
  assert.equal(many?.events.at(-1)?.data, "last");
  assert.ok((many?.events.length ?? 0) <= 9, `${many?.events.length}`);
  await hub.close();
});

Deno.test("the number of ephemeral events without data is limited too", async () => {
  const { promise: delivered, resolve } = Promise.withResolvers<EphemeralBatch>();
  using clock = new DeliveryClock();
  let dropped = 0;
  const delivery = new EphemeralDelivery({
    channelKey: A,
    deliver: resolve,
    onDropped: (events) => dropped += events,
    subscribers: () => 1,
    clock,
  });
  for (let i = 0; i < 100_000; i++) delivery.add(ephemeralEvent(""));
  const { events } = await delivered;
  assert.ok(events.length <= 2_048, `${events.length} events`);
  assert.equal(dropped, 100_000 - events.length);
});

Deno.test("a batch of ephemeral events is encoded once for all subscribers", () => {
  const batch = new EphemeralBatch(A, [ephemeralEvent("x")]);
  let encodings = 0;
  const encode = () => ({ encoding: ++encodings });
  assert.equal(batch.encode(encode), batch.encode(encode));
  assert.equal(encodings, 1);
});

Deno.test("a stream that is not read does not queue ephemeral events", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log, lingerMs: 1 });
  const wheel = new TimerWheel(15_000);
  const stream = await sseStream({
    hub,
    wheel,
    connections: new Connections(),
    goodbyes: new Goodbyes(),
    id: "stream",
    authority: OPEN,
    countedConnection: { [Symbol.dispose]() {} },
    channelKeys: [A],
    after: "latest",
    isEnveloped: false,
  });
  await flood(hub);
  await log.append([draft("a", `"the end"`)]);
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (new TextDecoder().decode(chunk).includes("the end")) break;
  }
  assert.ok(bytes > 100_000 && bytes < MiB / 2, `${bytes}`);
  wheel.close();
  await hub.close();
});

Deno.test("a socket that is not read does not queue ephemeral events", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  await using host = new SocketHost({ log });
  using connection = await RawConnection.open(host.port);
  await connection.upgrade("/");
  await connection.sendText(JSON.stringify({ op: "subscribe", ref: 1, channel: "a" }));
  await until("it is subscribed", () => host.hub.size === 1);
  await connection.frame(); // welcome
  await connection.frame(); // subscribed
  const sent = await flood(host.hub);
  await log.append([draft("a", `"the end"`)]);
  let bytes = 0;
  for (let frame; (frame = await connection.frame()) !== undefined;) {
    bytes += frame.payload.length;
    if (new TextDecoder().decode(frame.payload).includes("the end")) break;
    assert.equal(frame.opcode, OPCODE.text);
  }
  // The kernel's buffers take some of it; the rest would have waited in the socket.
  assert.ok(bytes < sent / 3, `${bytes} of ${sent}`);
  await connection.send({ opcode: OPCODE.close, payload: new Uint8Array() });
});

async function subscribe(
  hub: Hub,
  sink: FakeSink,
  after: Parameters<Hub["subscribe"]>[1] = "latest",
) {
  const subscription = await hub.subscribe(A, after, sink);
  sink.startAt(subscription.position);
  subscription.start();
  return subscription;
}

/** Publishes 48 MB, each event with turns to be delivered in, and returns the bytes. */
async function flood(hub: Hub): Promise<number> {
  const count = 3_000;
  for (let i = 0; i < count; i++) {
    hub.publishEphemeral(A, ephemeralEvent(LARGE));
    await new Promise((resolve) => setImmediate(() => setImmediate(() => resolve(undefined))));
  }
  return count * LARGE.length;
}

function ephemeralEvent(data: string) {
  return { type: "message", time: 0, contentType: "text/plain", data };
}
