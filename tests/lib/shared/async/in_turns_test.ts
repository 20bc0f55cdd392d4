import assert from "node:assert/strict";
import { forEachInTurns } from "../../../../lib/shared/async/in_turns.ts";
import { upTo } from "../../../support/log_reading.ts";
import { PerTurn } from "../../../support/per_turn.ts";

Deno.test("forEachInTurns() does some at once and the rest in later turns, in order", async () => {
  const turns = new PerTurn();
  const done: number[] = [];
  const all = forEachInTurns(upTo(25), 10, (i) => {
    turns.count();
    done.push(i);
  });
  assert.deepEqual(done, upTo(10));
  await all;
  assert.deepEqual(done, upTo(25));
  turns.assertAtMost(10);
});

Deno.test("forEachInTurns() continues after an error and throws it in the end", async () => {
  const done: number[] = [];
  const all = forEachInTurns(upTo(5), 2, (i) => {
    if (i === 3) throw new Error("three");
    done.push(i);
  });
  await assert.rejects(all, ({ errors }: AggregateError) => errors[0].message === "three");
  assert.deepEqual(done, upTo(5).filter((i) => i !== 3));
});
