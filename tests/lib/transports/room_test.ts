import assert from "node:assert/strict";
import { eventBytesWith, QUEUE_BYTES, Room } from "../../../lib/transports/room.ts";

Deno.test("Room has room for what fits, and for anything while next to nothing is queued", () => {
  let queued = 0;
  const room = new Room(() => queued);
  assert.equal(room.has(QUEUE_BYTES * 4), true);
  queued = 3_000;
  assert.equal(room.has(QUEUE_BYTES - 3_000), true);
  assert.equal(room.has(QUEUE_BYTES - 2_999), false);
});

Deno.test("Room gives small writes nothing while a large one waits", async () => {
  let queued = 3_000;
  const room = new Room(() => queued);
  const order: string[] = [];
  const large = room.wait(QUEUE_BYTES).then(() => order.push("large"));
  const small = room.wait(1).then(() => order.push("small"));
  assert.equal(room.has(1), false);
  assert.equal(room.isDue, false);
  queued = 0;
  assert.equal(room.isDue, true);
  assert.equal(room.has(1), false);
  room.wake();
  assert.equal(room.has(1), true);
  await Promise.all([large, small]);
  assert.deepEqual(order, ["large", "small"]);
});

Deno.test("eventBytesWith() has few values, each at least the cursor's length", () => {
  const lengths = Array.from({ length: 4096 }, (_, i) => "x".repeat(i));
  for (const cursor of lengths) assert.ok(eventBytesWith(cursor) >= cursor.length);
  assert.deepEqual([...new Set(lengths.map(eventBytesWith))], [64, 512, 4096]);
});
