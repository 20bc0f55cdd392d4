import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { eventBytesWith, QUEUE_BYTES, Room } from "../../../lib/transports/room.ts";

Deno.test("Room has room for what fits, and for anything while next to nothing is queued", () => {
  let queued = 0;
  const room = new Room(() => queued);
  assert.equal(room.has(QUEUE_BYTES * 4, false), true);
  queued = 3_000;
  assert.equal(room.has(QUEUE_BYTES - 3_000, false), true);
  assert.equal(room.has(QUEUE_BYTES - 2_999, false), false);
});

Deno.test("Room gives small writes nothing while a large one waits", async () => {
  let queued = 3_000;
  const room = new Room(() => queued);
  const order: string[] = [];
  const wait = async (bytes: number, name: string) => {
    await room.wait(bytes);
    assert.equal(room.has(bytes, true), true);
    queued += bytes;
    order.push(name);
  };
  const large = wait(QUEUE_BYTES, "large");
  const small = wait(1, "small");
  assert.equal(room.has(1, false), false);
  assert.equal(room.isDue, false);
  queued = 0;
  assert.equal(room.isDue, true);
  assert.equal(room.has(1, false), false);
  room.wake();
  await large;
  assert.deepEqual([room.has(1, false), room.isDue], [false, false]);
  queued = 0;
  room.wake();
  await small;
  assert.deepEqual(order, ["large", "small"]);
});

Deno.test("Room wakes only those that have room, and the others keep their places", async () => {
  let queued = QUEUE_BYTES;
  const room = new Room(() => queued);
  const order: number[] = [];
  let wakes = 0;
  const write = async (name: number) => {
    const bytes = QUEUE_BYTES / 4;
    do {
      await room.wait(bytes);
      wakes++;
    } while (!room.has(bytes, true));
    queued += bytes;
    order.push(name);
  };
  const names = Array.from({ length: 100 }, (_, i) => i);
  const writes = names.map(write);
  for (let read = 1; read <= 25; read++) {
    queued = 0;
    room.wake();
    await setImmediate();
    assert.equal(order.length, read * 4);
  }
  await Promise.all(writes);
  assert.deepEqual(order, names);
  assert.equal(wakes, 100);
});

Deno.test("Room gives those that wait the room that others don't use", async () => {
  let queued = QUEUE_BYTES;
  const room = new Room(() => queued);
  const waits = Array.from({ length: 10 }, () => room.wait(QUEUE_BYTES / 2));
  queued = 0;
  room.wake(); // nobody writes
  await Promise.all(waits);
  assert.equal(room.isAwaited, false);
});

Deno.test("eventBytesWith() has few values, each at least the cursor's length", () => {
  const lengths = Array.from({ length: 4096 }, (_, i) => "x".repeat(i));
  for (const cursor of lengths) assert.ok(eventBytesWith(cursor) >= cursor.length);
  assert.deepEqual([...new Set(lengths.map(eventBytesWith))], [64, 512, 4096]);
});
