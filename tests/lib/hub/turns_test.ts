import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { DeliveryTurns } from "../../../lib/hub/turns.ts";

Deno.test("DeliveryTurns spreads long deliveries over turns of the event loop, in their order", async () => {
  let now = 0;
  const turns = new DeliveryTurns(() => now);
  const delivered: number[] = [];
  for (let i = 0; i < 6; i++) {
    turns.add(() => {
      now += 5;
      delivered.push(i);
      if (i === 0) turns.add(() => delivered.push(6));
    });
  }
  assert.deepEqual(delivered, []);
  const seen: number[] = [];
  while (delivered.length < 7) {
    await setImmediate();
    seen.push(delivered.length);
  }
  assert.deepEqual(seen, [2, 4, 6, 7]);
  assert.deepEqual(delivered, [0, 1, 2, 3, 4, 5, 6]);
});
