import assert from "node:assert/strict";
import { Hub } from "../../../lib/hub/hub.ts";
import type { Sink } from "../../../lib/hub/sink.ts";
import type { Log } from "../../../lib/log/log.ts";
import type { Encoder, Run } from "../../../lib/log/run.ts";
import type { ChannelKey } from "../../../lib/shared/channel.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");
const ROOM_BYTES = 256 * 1024;

/** A connection with room for some bytes. It counts how many were written beyond. */
class ByteConnection {
  readonly sequences: number[] = [];
  queued = 0;
  /** The largest queue of more than one write that did not fit. */
  beyond = 0;
  #waiters: (() => void)[] = [];

  sink(encode: Encoder<string>): Sink {
    const hasRoom = (bytes: number) => this.queued === 0 || this.queued + bytes <= ROOM_BYTES;
    return {
      eventBytes: 64,
      write: (runs) => {
        const bytes = runs.reduce((sum, run) => sum + run.encode(encode).length, 0);
        const isAlone = this.queued === 0 && runs.length === 1 && runs[0]?.events.length === 1;
        this.queued += bytes;
        if (!isAlone) this.beyond = Math.max(this.beyond, this.queued - ROOM_BYTES);
        this.sequences.push(...runs.flatMap(({ events }) => events.map((each) => each.sequence)));
      },
      deliverEphemeral: () => 0,
      takenAt: 0,
      hasRoom,
      drained: (bytes) =>
        new Promise((resolve) => hasRoom(bytes) ? resolve() : this.#waiters.push(resolve)),
      close() {},
    };
  }

  /** Takes all that is queued. */
  read(): void {
    this.queued = 0;
    for (const wake of this.#waiters.splice(0)) wake();
  }
}

async function open(hub: Hub, channelKey: ChannelKey, sink: Sink, after: "earliest" | "latest") {
  (await hub.subscribe(channelKey, after, sink)).start();
}

async function publish(log: Log, channel: string, events: number, length: number): Promise<void> {
  const data = "x".repeat(length);
  await log.append(Array.from({ length: events }, () => draft(channel, data)));
}

function sequences(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

for (const after of ["latest", "earliest"] as const) {
  Deno.test(`a large publish is written as far as there is room, after=${after}`, async () => {
    await using store = await openEmbedded();
    const log = await store.isolate();
    const hub = new Hub({ log });
    let encodings = 0;
    const encode = (run: Run) => {
      encodings++;
      return run.events.map(({ data }) => data).join("");
    };
    const connections = Array.from({ length: 50 }, () => new ByteConnection());
    const subscribe = () =>
      Promise.all(connections.map((each) => open(hub, A, each.sink(encode), after)));
    if (after === "latest") await subscribe();
    await publish(log, "a", 40, 82_000);
    if (after === "earliest") await subscribe();
    await until("all have some", () => connections.every(({ queued }) => queued > 0));
    for (const { queued } of connections) assert.ok(queued <= ROOM_BYTES, `${queued} bytes`);
    await until("all have all", () => {
      for (const connection of connections) connection.read();
      return connections.every(({ sequences }) => sequences.length >= 40);
    });
    for (const connection of connections) {
      assert.deepEqual(connection.sequences, sequences(40));
      assert.equal(connection.beyond, 0);
    }
    assert.ok(encodings <= 2 * 40, `${encodings} encodings for 40 pieces`);
    await hub.close();
  });
}

Deno.test("the channels of one connection are written as far as its room goes", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  const connection = new ByteConnection();
  const names = Array.from({ length: 20 }, (_, i) => `c${i}`);
  const encode = (run: Run) => run.events.map(({ data }) => data).join("");
  for (const name of names) {
    await open(hub, testChannelKey(name), connection.sink(encode), "latest");
  }
  await Promise.all(names.map((name) => publish(log, name, 4, 50_000)));
  await until("some were written", () => connection.queued > 0);
  await until("all were written", () => {
    connection.read();
    return connection.sequences.length === 80;
  });
  assert.equal(connection.beyond, 0);
  await hub.close();
});

Deno.test("an event larger than the room is written once nothing else waits", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const hub = new Hub({ log });
  const connection = new ByteConnection();
  await open(
    hub,
    A,
    connection.sink((run) => run.events.map(({ data }) => data).join("")),
    "latest",
  );
  await publish(log, "a", 1, 10);
  await publish(log, "a", 1, 1_000_000);
  await until("the first was written", () => connection.sequences.length > 0);
  assert.equal(connection.queued, 10);
  connection.read();
  await until("the second was written", () => connection.sequences.length === 2);
  assert.equal(connection.queued, 1_000_000);
  await hub.close();
});
