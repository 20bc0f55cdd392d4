import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { OPEN } from "../../../lib/auth/authority.ts";
import { Connections } from "../../../lib/auth/connections.ts";
import { Hub } from "../../../lib/hub/hub.ts";
import { EphemeralDelivery } from "../../../lib/hub/ephemeral_delivery.ts";
import { EphemeralBatch } from "../../../lib/hub/ephemeral_batch.ts";
import { offsetOf } from "../../../lib/shared/offset.ts";
import { sseStream } from "../../../lib/transports/sse/stream.ts";
import { TimerWheel } from "../../../lib/transports/timer_wheel.ts";
import { address, draft } from "../../support/drafts.ts";
import { FakeSink } from "../../support/fake_sink.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { OPCODE, RawConnection } from "../../support/raw_connection.ts";
import { SocketHost } from "../../support/socket_host.ts";
import { until } from "../../support/until.ts";

const A = address("a");
const MiB = 1_048_576;
const LARGE = "x".repeat(16_000);

Deno.test("a full sink gets no ephemeral event, also later, and the others do", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  const [full, quick] = [new FakeSink(1), new FakeSink(Infinity)];
  for (const sink of [full, quick]) await subscribe(hub, sink);
  await log.append([draft("a", "1")]);
  await until("both have the event", () => full.events.length + quick.events.length === 2);
  hub.publishEphemeral(A, ephemeralEvent("missed"));
  await until("the other is told", () => quick.ephemeral.length === 1);
  full.drain(10);
  await log.append([draft("a", "2")]);
  await until("it has drained", () => full.events.length === 2);
  hub.publishEphemeral(A, ephemeralEvent("told"));
  await until("both are told", () => quick.ephemeral.length === 2 && full.ephemeral.length > 0);
  assert.deepEqual(full.ephemeral.map(({ data }) => data), ["told"]);
  await hub.close();
});

Deno.test("an ephemeral event moves no position", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  await log.append([draft("a", "1")]);
  const sink = new FakeSink(Infinity);
  const subscription = await subscribe(hub, sink);
  const before = subscription.position;
  hub.publishEphemeral(A, ephemeralEvent("x"));
  await until("it is told", () => sink.ephemeral.length === 1);
  assert.deepEqual(subscription.position, before);
  assert.equal(sink.events.length, 0);
  const [appended] = await log.append([draft("a", "2")]);
  await until("it goes on", () => sink.events.length === 1);
  assert.equal(offsetOf(sink.position), appended?.offset);
  await hub.close();
});

Deno.test("who waits at the end of an earlier life of the channel is told too", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  await log.append([draft("a", "1")]);
  const end = await hub.latest(A);
  await log.delete(A);
  const sink = new FakeSink(Infinity);
  await subscribe(hub, sink, end);
  await until("it is told", () => {
    if (sink.ephemeral.length === 0) hub.publishEphemeral(A, ephemeralEvent("x"));
    return sink.ephemeral.length > 0;
  });
  await hub.close();
});

Deno.test("who has left is told nothing, and a closed hub takes nothing", async () => {
  await using store = await openEmbedded();
  const hub = new Hub({ log: await store.isolate() });
  const [gone, stays] = [new FakeSink(Infinity), new FakeSink(Infinity)];
  const subscription = await subscribe(hub, gone);
  await subscribe(hub, stays);
  hub.publishEphemeral(A, ephemeralEvent("on its way"));
  subscription.close();
  await until("the other is told", () => stays.ephemeral.length === 1);
  assert.equal(gone.ephemeral.length, 0);
  await hub.close();
  assert.throws(() => hub.publishEphemeral(A, ephemeralEvent("late")), { code: "shutting_down" });
});

Deno.test("what comes together is delivered together, the latest of it where it is too much", async () => {
  await using store = await openEmbedded();
  const hub = new Hub({ log: await store.isolate() });
  const told: EphemeralBatch[] = [];
  await subscribe(
    hub,
    Object.assign(new FakeSink(Infinity), { deliverEphemeral: told.push.bind(told) }),
  );
  for (let i = 0; i < 5; i++) hub.publishEphemeral(A, ephemeralEvent(`${i}`));
  await until("it is told", () => told.length > 0);
  assert.deepEqual(told.map(({ events }) => events.map(({ data }) => data)), [[..."01234"]]);
  for (let i = 0; i < 100; i++) hub.publishEphemeral(A, ephemeralEvent(LARGE));
  hub.publishEphemeral(A, ephemeralEvent("last"));
  await until("it is told", () => told.length > 1);
  const [, many] = told;
  assert.equal(many?.events.at(-1)?.data, "last");
  assert.ok((many?.events.length ?? 0) <= 9, `${many?.events.length}`);
  await hub.close();
});

Deno.test("events without data fill no memory either", async () => {
  const { promise: delivered, resolve } = Promise.withResolvers<EphemeralBatch>();
  const delivery = new EphemeralDelivery(A, (batch) => {
    resolve(batch);
    return 1;
  });
  for (let i = 0; i < 100_000; i++) delivery.add(ephemeralEvent(""));
  const { events } = await delivered;
  assert.ok(events.length <= 2_048, `${events.length} events`);
});

Deno.test("Notes are encoded once for all who are told", () => {
  const batch = new EphemeralBatch(A, [ephemeralEvent("x")]);
  let encodings = 0;
  const encode = () => ({ encoding: ++encodings });
  assert.equal(batch.encode(encode), batch.encode(encode));
  assert.equal(encodings, 1);
});

Deno.test("a stream that nobody reads gathers no ephemeral events", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log, lingerMs: 1 });
  const wheel = new TimerWheel(15_000);
  const stream = await sseStream({
    hub,
    wheel,
    connections: new Connections(),
    id: "stream",
    authority: OPEN,
    connection: { [Symbol.dispose]() {} },
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

Deno.test("a socket that nobody reads gathers no ephemeral events", async () => {
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
  // What the kernel takes for the peer is beside what waits here.
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

/** 48 MB, each given its turns to be delivered; the bytes. */
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
