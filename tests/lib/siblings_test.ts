import assert from "node:assert/strict";
import { Siblings } from "../../lib/siblings.ts";

Deno.test("who leaves first waits for the others, and the last for nobody", async () => {
  const [first, second] = [new Siblings(), new Siblings()];
  let isOver = false;
  const leaving = first.leave().then(() => isOver = true);
  await new Promise((resolve) => setTimeout(resolve, 50)); // long enough for several looks
  assert.equal(isOver, false);
  await second.leave();
  await leaving;
});

Deno.test("isolates of another process, seen in an inherited environment, don't count", async () => {
  const name = "WEIR_INTERNAL_ISOLATE_other";
  Deno.env.set(name, "0");
  await new Siblings().leave();
  Deno.env.delete(name);
});
