import assert from "node:assert/strict";
import { LargeTextTurns } from "../../../lib/publish/large_text_turns.ts";

Deno.test("after a long part of a large text others have as much time as it took", async () => {
  let time = 0;
  const waits: number[] = [];
  const turns = new LargeTextTurns({
    now: () => time,
    after: (next, ms) => {
      waits.push(ms);
      next();
    },
  });
  for (const ms of [100, 1, 30]) {
    await turns.next();
    time += ms;
  }
  await turns.next();
  assert.deepEqual(waits, [100, 30]);
});

Deno.test("those who work on large texts get their turns in the order of their calls", async () => {
  const turns = new LargeTextTurns();
  const order: string[] = [];
  const work = async (name: string) => {
    for (let part = 0; part < 3; part++) {
      await turns.next();
      order.push(name);
    }
  };
  await Promise.all([work("a"), work("b")]);
  assert.deepEqual(order, ["a", "b", "a", "b", "a", "b"]);
});
