import assert from "node:assert/strict";
import { EphemeralBatch } from "../../../../lib/hub/ephemeral_batch.ts";
import { SHARED_ENCODING } from "../../../../lib/transports/messages/encoding.ts";
import { SocketOutput, SocketSink } from "../../../../lib/transports/socket/output.ts";
import { LargeWrites } from "../../../../lib/transports/large_writes.ts";
import { MAX_UNREAD_BYTES, UnreadBudget } from "../../../../lib/transports/unread_budget.ts";
import { testChannelKey } from "../../../support/drafts.ts";
import { testRun } from "../../../support/runs.ts";

const KiB = 2 ** 10;
const A = testChannelKey("a");

/** A socket whose peer reads when the test says so, and its output. */
class FakeConnection {
  readonly frames: string[] = [];
  readonly waits: (() => void)[] = [];
  bufferedAmount = 0;
  readyState: number = WebSocket.OPEN;
  isSlow = false;
  isLost = false;
  readonly output: SocketOutput;

  constructor(
    unreadBudget: Pick<UnreadBudget, "watch" | "forget"> = { watch() {}, forget() {} },
    largeWrites = new LargeWrites(),
    isPlain = false,
  ) {
    this.output = new SocketOutput({
      socket: this as unknown as WebSocket,
      isPlain,
      drainPoller: {
        waitForRoom: (hasRoom) =>
          hasRoom() ? Promise.resolve() : new Promise((resolve) => this.waits.push(resolve)),
      },
      unreadBudget,
      largeWrites,
      onSlow: () => {
        this.isSlow = true;
        this.output.close();
      },
      onLost: () => {
        this.isLost = true;
        this.output.close();
      },
    });
  }

  static plain(): FakeConnection {
    return new FakeConnection(undefined, undefined, true);
  }

  send(text: string): void {
    this.frames.push(text);
    this.bufferedAmount += text.length;
  }

  async read(): Promise<void> {
    this.bufferedAmount = 0;
    for (const resolve of this.waits.splice(0)) resolve();
    await settled();
  }
}

/** Resolves after everything that only waits for promises. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

/** Returns a batch whose events have the data 0, 1, 2 … */
function ephemeralBatch(count: number): EphemeralBatch {
  return new EphemeralBatch(
    A,
    Array.from({ length: count }, (_, i) => (
      { type: "t", time: 0, contentType: "application/json", data: `${i}` }
    )),
  );
}

Deno.test("the answers of one turn are sent as one frame, in their order", async () => {
  const { output, frames } = new FakeConnection();
  for (let ref = 0; ref < 3; ref++) output.send({ op: "pong", ref });
  await settled();
  output.send({ op: "pong", ref: 3 });
  await settled();
  assert.deepEqual(frames, [
    `{"op":"pong","ref":0}\n{"op":"pong","ref":1}\n{"op":"pong","ref":2}`,
    `{"op":"pong","ref":3}`,
  ]);
});

Deno.test("without a subprotocol each message has a frame of its own", async () => {
  const { output, frames } = FakeConnection.plain();
  for (let ref = 0; ref < 2; ref++) output.send({ op: "pong", ref });
  await settled();
  output.write([testRun(A, 0, ["1", "2"])], (run) => run.events.map(({ data }) => data).join("\n"));
  output.sendLast({ op: "goodbye" }, { isSlow: false });
  assert.deepEqual(frames, [
    `{"op":"pong","ref":0}`,
    `{"op":"pong","ref":1}`,
    "1",
    "2",
    `{"op":"goodbye"}`,
  ]);
});

Deno.test("without a subprotocol an unread answer counts as much as its frame", async () => {
  const connection = FakeConnection.plain();
  connection.bufferedAmount = 100 * KiB;
  let sent = 0;
  for (; sent < 10_000 && !connection.isSlow; sent++) {
    connection.output.send({ op: "pong" });
    await Promise.resolve();
  }
  assert.ok(sent <= 1_024, `${sent} answers`);
});

Deno.test("without a subprotocol a write has few events, since each takes a frame", () => {
  const { output, frames } = FakeConnection.plain();
  const run = testRun(A, 0, Array.from({ length: 10_000 }, () => "1"));
  const sink = new SocketSink(output, SHARED_ENCODING, () => {});
  sink.write([run.piece(0, sink.eventBytes)]);
  assert.ok(frames.length > 1 && frames.length <= 256, `${frames.length} frames`);
});

Deno.test("without a subprotocol few ephemeral events of a delivery are sent, the newest ones", () => {
  const { output, frames } = FakeConnection.plain();
  const sink = new SocketSink(output, SHARED_ENCODING, () => {});
  const batch = ephemeralBatch(1_900);
  sink.deliverEphemeral(batch);
  assert.ok(frames.length > 0 && frames.length <= 16, `${frames.length} frames`);
  assert.equal(JSON.parse(frames.at(-1) ?? "").data, 1_899);
  for (let i = 0; i < 1_000; i++) sink.deliverEphemeral(batch);
  assert.ok(frames.length <= 256, `${frames.length} frames`);
});

Deno.test("the budget of unread bytes counts frames too", () => {
  using budget = new UnreadBudget(new LargeWrites(), 64 * KiB);
  const connection = new FakeConnection(budget, undefined, true);
  const sink = new SocketSink(connection.output, SHARED_ENCODING, () => {});
  for (let i = 0; i < 100; i++) sink.deliverEphemeral(ephemeralBatch(16));
  assert.ok(connection.bufferedAmount < 64 * KiB);
  budget.look();
  assert.equal(connection.isSlow, false);
  budget.look();
  assert.equal(connection.isSlow, true);
});

Deno.test("a client that does not read gets few frames, and the rest of its answers in one", async () => {
  const connection = new FakeConnection();
  const { output, frames } = connection;
  for (let i = 0; i < 5_000; i++) {
    output.send({ op: "pong" });
    await Promise.resolve();
  }
  await settled();
  assert.ok(frames.length < 1_000, `${frames.length} frames`);
  const waiting = frames.length;
  await connection.read();
  assert.equal(frames.length, waiting + 1);
  assert.equal(frames.join("\n").split("\n").length, 5_000);
  assert.equal(connection.isSlow, false);
});

Deno.test("a client that keeps asking and reads nothing is too slow, and its answers are dropped", async () => {
  const connection = new FakeConnection();
  const answer = { op: "ack", ref: "x".repeat(64) };
  let sent = 0;
  for (; sent < 100_000 && !connection.isSlow; sent++) {
    connection.output.send(answer);
    await Promise.resolve();
  }
  assert.ok(connection.isSlow);
  const bytes = sent * JSON.stringify(answer).length;
  assert.ok(bytes < 1_024 * KiB, `${bytes} bytes waited`);
  const given = connection.frames.length;
  await connection.read();
  assert.equal(connection.frames.length, given);
});

Deno.test("an answer is sent before the events that follow it", async () => {
  const connection = new FakeConnection();
  connection.bufferedAmount = 100 * KiB; // answers are held back, and events have room
  connection.output.send({ op: "subscribed" });
  await settled();
  assert.deepEqual(connection.frames, []);
  assert.equal(connection.output.hasRoom(1), true);
  connection.output.write([], () => "");
  assert.equal(connection.frames[0], `{"op":"subscribed"}`);
});

Deno.test("the last message follows the answers, which a client that reads too slowly does not get", async () => {
  for (const isSlow of [false, true]) {
    const connection = new FakeConnection();
    connection.bufferedAmount = 100 * KiB;
    connection.output.send({ op: "ack" });
    await settled();
    connection.output.sendLast({ op: "goodbye" }, { isSlow });
    assert.deepEqual(connection.frames, [`${isSlow ? "" : `{"op":"ack"}\n`}{"op":"goodbye"}`]);
  }
});

Deno.test("when the sockets of an isolate leave too much unread, those with the most are ended", () => {
  using budget = new UnreadBudget(new LargeWrites());
  const text = "x".repeat(MAX_UNREAD_BYTES / 4);
  const [a, b, c] = [1, 2, 3].map((messages) => {
    const connection = new FakeConnection(budget);
    for (let i = 0; i < messages; i++) {
      connection.output.sendLast({ op: "event", text }, { isSlow: false });
    }
    return connection;
  });
  assert.ok(a && b && c);
  // What has been sent since the last look may still be on its way.
  budget.look();
  assert.deepEqual([a, b, c].map(({ isSlow }) => isSlow), [false, false, false]);
  budget.look();
  assert.deepEqual([a, b, c].map(({ isSlow }) => isSlow), [false, false, true]);
  for (const connection of [a, b]) connection.bufferedAmount = 0;
  budget.look();
});

Deno.test("a client that reads steadily is never ended by the budget", () => {
  using budget = new UnreadBudget(new LargeWrites(), 1);
  const connection = new FakeConnection(budget);
  for (let i = 0; i < 10; i++) {
    connection.bufferedAmount = 0;
    connection.output.sendLast({ op: "event", i }, { isSlow: false });
    budget.look();
  }
  assert.equal(connection.isSlow, false);
  budget.look();
  assert.equal(connection.isSlow, true);
});

Deno.test("a socket that the runtime gave up without an event is noticed", () => {
  using budget = new UnreadBudget(new LargeWrites());
  const connection = new FakeConnection(budget);
  connection.output.sendLast({ op: "event" }, { isSlow: false });
  connection.readyState = WebSocket.CLOSING;
  assert.equal(connection.output.hasRoom(1), false);
  budget.look();
  assert.equal(connection.isLost, true);
});

const EVENT_CHARS = 300 * KiB;

Deno.test("many tiny frames fill the room of a socket that does not read", () => {
  for (const { output, frames } of [new FakeConnection(), FakeConnection.plain()]) {
    for (let i = 0; i < 100_000 && output.hasRoom(100); i++) {
      output.write([testRun(A, i, ["1"])], () => "x\n".repeat(8) + "x");
    }
    assert.ok(frames.length <= 264, `${frames.length} frames`);
  }
});

Deno.test("frames that are read make room again, also while others wait", () => {
  const connection = new FakeConnection();
  const { output, frames } = connection;
  for (let i = 0; i < 10_000; i++) {
    assert.equal(output.hasRoom(100), true, `after ${frames.length} frames`);
    output.write([testRun(A, i, ["1"])], () => "x".repeat(100));
    if (connection.bufferedAmount > 1_000) connection.bufferedAmount -= 500;
  }
});

Deno.test("a large event is sent to a few sockets at a time", async () => {
  const largeWrites = new LargeWrites(2 * EVENT_CHARS);
  const connections = Array.from(
    { length: 5 },
    () => new FakeConnection(undefined, largeWrites),
  );
  const text = "x".repeat(EVENT_CHARS);
  const send = () => {
    for (const { output, frames } of connections) {
      if (frames.length > 0 || !output.hasRoom(EVENT_CHARS)) continue;
      output.write([testRun(A, 0, ["1"])], () => text);
    }
    return connections.filter(({ frames }) => frames.length > 0).length;
  };
  assert.equal(send(), 2);
  assert.equal(send(), 2);
  await connections[0]?.read();
  assert.equal(send(), 3);
  connections[1]?.output.close();
  assert.equal(send(), 4);
  assert.equal(connections[4]?.output.hasRoom(100), true); // what is not large has room
});

Deno.test("sockets that do not read a large event are ended while others wait for room", () => {
  const largeWrites = new LargeWrites(EVENT_CHARS);
  using budget = new UnreadBudget(largeWrites);
  const [holder, waiter] = [1, 2].map(() => new FakeConnection(budget, largeWrites));
  assert.ok(holder && waiter);
  holder.output.write([testRun(A, 0, ["1"])], () => "x".repeat(EVENT_CHARS));
  budget.look();
  budget.look();
  assert.equal(holder.isSlow, false); // nobody waits
  for (let look = 1; look <= 4; look++) {
    assert.equal(holder.isSlow, false);
    assert.equal(waiter.output.hasRoom(EVENT_CHARS), false);
    budget.look();
  }
  assert.equal(holder.isSlow, true);
  assert.equal(waiter.output.hasRoom(EVENT_CHARS), true);
});
