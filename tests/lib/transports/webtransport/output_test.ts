import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { EphemeralBatch } from "../../../../lib/hub/ephemeral_batch.ts";
import type { Sink } from "../../../../lib/hub/sink.ts";
import { DrainPoller } from "../../../../lib/transports/drain_poller.ts";
import { LargeWrites } from "../../../../lib/transports/large_writes.ts";
import { SHARED_ENCODING } from "../../../../lib/transports/messages/encoding.ts";
import type { EventOutput } from "../../../../lib/transports/messages/output.ts";
import type { SendStream } from "../../../../lib/quic/send_stream.ts";
import { QUEUE_BYTES } from "../../../../lib/transports/room.ts";
import { UnreadBudget } from "../../../../lib/transports/unread_budget.ts";
import { WebTransportOutput } from "../../../../lib/transports/webtransport/output.ts";
import { testChannelKey } from "../../../support/drafts.ts";
import { FakeSession, FakeStream } from "../../../support/fake_session.ts";
import { testRun } from "../../../support/runs.ts";

const KiB = 2 ** 10;
const A = testChannelKey("a");
const WELCOME = { op: "welcome" };

/** An output whose client is the test. */
class Fixture implements Disposable {
  readonly session = new FakeSession();
  readonly poller = new DrainPoller();
  readonly output: WebTransportOutput;
  isSlow = false;

  constructor(unreadBudget: Pick<UnreadBudget, "watch" | "forget"> = { watch() {}, forget() {} }) {
    this.output = new WebTransportOutput({
      session: this.session,
      drainPoller: this.poller,
      unreadBudget,
      largeWrites: new LargeWrites(),
      onSlow: () => {
        this.isSlow = true;
        this.output.close();
      },
    });
  }

  openControl(): void {
    this.output.openControl(this.session.control.sendStream, WELCOME);
  }

  /** Subscribes to one channel. */
  subscribe(): Events {
    const output = this.output.openEventOutput();
    output.send({ op: "subscribed" });
    return new Events(output);
  }

  [Symbol.dispose](): void {
    this.output.close();
    this.poller.close();
  }
}

/** The events of one subscription. */
class Events {
  readonly sink: Sink;
  #sequence = 0;

  constructor(readonly output: EventOutput) {
    this.sink = output.sink(SHARED_ENCODING, () => {});
  }

  /** Writes an event if there is room, as the hub does. */
  write(bytes: number, hasWaited = false): boolean {
    const run = testRun(A, this.#sequence, [JSON.stringify("x".repeat(bytes))]);
    if (!this.sink.hasRoom(run.sizeWith(this.sink.eventBytes), hasWaited)) return false;
    this.sink.write([run]);
    this.#sequence++;
    return true;
  }

  /** Writes events until there is no room. */
  fill(bytes: number): void {
    while (this.write(bytes));
  }
}

/** Resolves after everything that only waits for promises. */
async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await setImmediate();
}

Deno.test("the welcome comes first, then what was answered before there was a control stream", async () => {
  using fixture = new Fixture();
  fixture.output.send({ op: "error" });
  await settled();
  assert.deepEqual(fixture.session.control.messages, []);
  fixture.openControl();
  fixture.output.send({ op: "pong" });
  await settled();
  const ops = fixture.session.control.messages.map(({ op }) => op);
  assert.deepEqual(ops, ["welcome", "error", "pong"]);
});

Deno.test("an event stream begins with its number, then `subscribed`, then the events", async () => {
  using fixture = new Fixture();
  for (let i = 0; i < 2; i++) fixture.subscribe().write(10);
  await settled();
  for (const [i, { messages }] of fixture.session.streams.entries()) {
    assert.deepEqual(messages[0], { op: "stream", stream: i + 1 });
    assert.deepEqual(messages.slice(1).map(({ op }) => op), ["subscribed", "event"]);
  }
});

Deno.test("subscriptions share streams when there are many, and the last one ends its stream", async () => {
  using fixture = new Fixture();
  const first = fixture.subscribe();
  for (let i = 1; i < 32; i++) fixture.subscribe();
  const shared = fixture.subscribe();
  await settled();
  const { streams } = fixture.session;
  assert.equal(streams.length, 32);
  assert.equal(streams[0]?.messages.length, 3);
  first.output.end();
  await settled();
  assert.equal(streams[0]?.isEnded, false);
  shared.output.end();
  await settled();
  assert.equal(streams[0]?.isEnded, true);
  fixture.subscribe();
  await settled();
  assert.deepEqual(streams[32]?.messages[0], { op: "stream", stream: 33 });
});

Deno.test("what the client has not acknowledged takes room, until it does", async () => {
  using fixture = new Fixture();
  const events = fixture.subscribe();
  events.fill(1_000);
  await settled();
  const [stream] = fixture.session.streams;
  assert.ok(stream);
  assert.ok(stream.bytes > QUEUE_BYTES - 2 * KiB && stream.bytes <= QUEUE_BYTES + KiB);
  const waited = events.sink.drained(8 * KiB).then(() => events.write(7 * KiB, true));
  await settled();
  assert.equal(fixture.output.received({ 1: 4 * KiB }), 4 * KiB);
  assert.equal(fixture.output.received({ 1: 20 * KiB }), 16 * KiB);
  assert.equal(await waited, true);
});

Deno.test("a large event may begin while two steps are unacknowledged, and none after it", () => {
  using fixture = new Fixture();
  const events = fixture.subscribe();
  while (fixture.output.unacknowledgedBytes < 63 * KiB) events.write(500);
  assert.equal(events.write(500 * KiB), true);
  assert.equal(events.write(10), false);
  fixture.output.received({ 1: 30 * KiB });
  assert.equal(events.write(10), false);
  const others = fixture.subscribe();
  assert.equal(others.write(500 * KiB), false);
});

Deno.test("a stream has a little room of its own while another one fills the connection", async () => {
  using fixture = new Fixture();
  const large = fixture.subscribe();
  large.fill(1_000);
  void large.sink.drained(100 * KiB);
  const small = fixture.subscribe();
  let written = 0;
  while (small.write(100)) written++;
  assert.ok(written > 10, `${written} events`);
  await settled();
  const bytes = fixture.session.streams[1]?.bytes ?? 0;
  assert.ok(bytes <= 5 * KiB, `${bytes} bytes`);
  let isDrained = false;
  const waited = small.sink.drained(200).then(() => isDrained = true);
  fixture.output.received({ 1: 1_000 });
  await settled();
  assert.equal(isDrained, false);
  fixture.output.received({ 2: bytes });
  await waited;
  assert.equal(small.write(100, true), true);
});

Deno.test("waits for room on one stream end in their order, each with room", async () => {
  using fixture = new Fixture();
  const events = [1, 2, 3].map(() => fixture.subscribe());
  events[0]?.fill(1_000);
  const order: number[] = [];
  const waits = [60 * KiB, 100 * KiB, 60 * KiB].map(async (bytes, i) => {
    await events[i]?.sink.drained(bytes);
    assert.equal(events[i]?.write(bytes - KiB, true), true);
    order.push(i);
  });
  for (let taken = 32 * KiB; order.length < 3; taken += 32 * KiB) {
    await settled();
    const [first, ...others] = fixture.session.streams;
    const streams = Object.fromEntries(
      [...others.entries()].map(([i, { bytes }]) => [i + 2, bytes]),
    );
    fixture.output.received({ 1: Math.min(taken, first?.bytes ?? 0), ...streams });
  }
  await Promise.all(waits);
  assert.deepEqual(order, [0, 1, 2]);
});

Deno.test("an ended stream leaves its room to the others", async () => {
  using fixture = new Fixture();
  const events = fixture.subscribe();
  events.fill(1_000);
  const others = fixture.subscribe();
  const waited = others.sink.drained(100 * KiB);
  events.output.end();
  await waited;
  assert.equal(others.write(99 * KiB, true), true);
  await settled();
  fixture.output.received({ 1: 1, 2: 100 }); // 1 has ended
});

Deno.test("a client that acknowledges what it does not read gets no more", async () => {
  using fixture = new Fixture();
  const events = fixture.subscribe();
  await settled();
  const [stream] = fixture.session.streams;
  assert.ok(stream);
  stream.stick();
  events.fill(1_000);
  await settled();
  fixture.output.received({ 1: stream.bytes + 200 * KiB });
  assert.equal(events.write(10 * KiB), false);
  stream.unstick();
  await settled();
  assert.equal(events.write(10 * KiB), true);
});

Deno.test("impossible acknowledgements are refused, and change nothing", async () => {
  using fixture = new Fixture();
  fixture.subscribe();
  fixture.subscribe();
  await settled();
  const bytes = fixture.session.streams[0]?.bytes ?? 0;
  fixture.output.received({ 1: 20 });
  const { unacknowledgedBytes } = fixture.output;
  for (const streams of [{ 1: bytes + 1 }, { 1: 19 }, { 3: 0 }, { 2: 10, 1: bytes + 1 }]) {
    assert.throws(() => fixture.output.received(streams), { code: "bad_message" });
  }
  assert.equal(fixture.output.unacknowledgedBytes, unacknowledgedBytes);
});

Deno.test("a client that reads no answers is slow after a megabyte of them", async () => {
  using fixture = new Fixture();
  fixture.openControl();
  await settled();
  fixture.session.control.stick();
  let sent = 0;
  for (; sent < 100_000 && !fixture.isSlow; sent++) {
    fixture.output.send({ op: "pong" });
    if (sent % 100 === 0) await settled();
  }
  assert.ok(sent > 5_000 && sent < 20_000, `${sent} answers`);
});

Deno.test("a client that subscribes again and again and takes nothing is slow", async () => {
  using fixture = new Fixture();
  for (let i = 0; i < 32; i++) fixture.subscribe();
  let sent = 0;
  for (; sent < 1_000_000 && !fixture.isSlow; sent++) {
    const output = fixture.output.openEventOutput();
    output.send({ op: "subscribed", filler: "x".repeat(200) });
    if (sent % 100 === 0) await settled();
    if (!fixture.isSlow) output.end();
  }
  assert.ok(sent < 20_000, `${sent} subscribes`);
});

Deno.test("a client that allows for no streams and subscribes again and again is slow", async () => {
  using fixture = new Fixture();
  const opens: ((stream: SendStream) => void)[] = [];
  fixture.session.openUnidirectional = () => new Promise((resolve) => opens.push(resolve));
  const events = fixture.subscribe();
  events.write(100);
  await settled();
  for (let i = 0; i < 200; i++) {
    fixture.subscribe().output.end();
    await settled();
  }
  const first = new FakeStream();
  opens[0]?.(first.sendStream);
  await settled();
  assert.deepEqual(first.messages.map(({ op }) => op), ["stream", "subscribed", "event"]);
  const others = opens.slice(1).map((open) => {
    const stream = new FakeStream();
    open(stream.sendStream);
    return stream;
  });
  await settled();
  assert.ok(others.every(({ isEnded, text }) => isEnded && text === ""));
  let subscribes = 0;
  for (; subscribes < 1_000 && !fixture.isSlow; subscribes++) {
    const { output } = fixture.subscribe();
    await settled();
    if (!fixture.isSlow) output.end();
  }
  assert.equal(subscribes, 257);
});

Deno.test("only what stays unacknowledged beyond a step counts against the budget", async () => {
  using budget = new UnreadBudget(new LargeWrites(), 64 * KiB);
  using fixture = new Fixture(budget);
  const events = fixture.subscribe();
  await settled();
  while (fixture.output.unacknowledgedBytes < 30 * KiB) events.write(500);
  for (let i = 0; i < 3; i++) budget.look();
  assert.equal(fixture.isSlow, false);
  events.fill(1_000);
  await settled();
  budget.look();
  fixture.output.received({ 1: 200 * KiB });
  budget.look();
  assert.equal(fixture.isSlow, false);
  events.fill(1_000);
  budget.look();
  budget.look();
  assert.equal(fixture.isSlow, true);
});

/** Returns a batch with events of so many characters. */
function batchOf(...lengths: readonly number[]): EphemeralBatch {
  return new EphemeralBatch(
    A,
    lengths.map((length) => ({
      type: "t",
      time: 0,
      contentType: "application/json",
      data: JSON.stringify("x".repeat(length)),
    })),
  );
}

Deno.test("ephemeral events that fit together share a datagram, larger ones come on the stream", async () => {
  using fixture = new Fixture();
  const { sink } = fixture.subscribe();
  sink.deliverEphemeral(batchOf(100, 100, 900, 1_200));
  await settled();
  const { datagrams, streams } = fixture.session;
  assert.deepEqual(datagrams.map((payload) => payload.split("\n").length), [2, 1]);
  for (const line of datagrams.join("\n").split("\n")) {
    assert.equal(JSON.parse(line).op, "ephemeral");
  }
  assert.equal(streams[0]?.messages.at(-1)?.["op"], "ephemeral");
});

Deno.test("where a datagram has no room, ephemeral events come on the stream if that has", async () => {
  using fixture = new Fixture();
  fixture.session.maxDatagramBytes = 500;
  const events = fixture.subscribe();
  events.sink.deliverEphemeral(batchOf(600));
  await settled();
  const [stream] = fixture.session.streams;
  assert.deepEqual(fixture.session.datagrams, []);
  assert.equal(stream?.messages.at(-1)?.["op"], "ephemeral");
  events.fill(1_000);
  events.fill(10);
  await settled();
  const bytes = stream?.bytes;
  events.sink.deliverEphemeral(batchOf(600));
  await settled();
  assert.equal(stream?.bytes, bytes);
});

Deno.test("after its end an output sends nothing, and nobody waits for it", async () => {
  using fixture = new Fixture();
  fixture.openControl();
  const events = fixture.subscribe();
  events.fill(1_000);
  const waits = [1, 2].map(() => events.sink.drained(100 * KiB));
  await settled();
  const { control, streams } = fixture.session;
  const before = [control.bytes, streams.length];
  fixture.output.close();
  await Promise.all(waits);
  fixture.output.send({ op: "pong" });
  fixture.output.sendLast({ op: "goodbye" }, { isSlow: false });
  fixture.output.openEventOutput().send({ op: "subscribed" });
  events.write(10);
  await settled();
  assert.deepEqual([control.bytes, streams.length], before);
  assert.equal(streams[0]?.isEnded, true);
});
