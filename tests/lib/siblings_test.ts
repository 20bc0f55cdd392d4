import assert from "node:assert/strict";
import { Siblings } from "../../lib/siblings.ts";

Deno.test("isolates wait for each other, and the last one for none", async () => {
  const [first, second] = [new Siblings(), new Siblings()];
  let looks = 0;
  await first.leave(async () => {
    if (++looks === 3) await second.leave();
  });
  assert.equal(looks, 3);
});

Deno.test("isolates of another process, seen in an inherited environment, are ignored", async () => {
  const name = "WEIR_INTERNAL_ISOLATE_other";
  Deno.env.set(name, "0");
  await new Siblings().leave();
  Deno.env.delete(name);
});
