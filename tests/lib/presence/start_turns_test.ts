import assert from "node:assert/strict";
import { StartTurns } from "../../../lib/presence/start_turns.ts";
import { upTo } from "../../support/log_reading.ts";
import { PerTurn } from "../../support/per_turn.ts";

Deno.test("as many as may continue in each turn, in the order of their calls", async () => {
  const turns = new StartTurns(3);
  const perTurn = new PerTurn();
  const order: number[] = [];
  const start = async (i: number) => {
    await turns.next();
    perTurn.count();
    order.push(i);
    if (i <= 5) await start(100 + i); // waits behind the others
  };
  await Promise.all(upTo(10).map(start));
  assert.deepEqual(order, [...upTo(10), ...upTo(5).map((i) => 100 + i)]);
  perTurn.assertAtMost(3);
});
