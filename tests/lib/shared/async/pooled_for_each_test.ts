import assert from "node:assert/strict";
import { pooledForEach } from "../../../../lib/shared/async/pooled_for_each.ts";

Deno.test("pooledForEach() works on each item once, and on no more than the limit at a time", async () => {
  const done: number[] = [];
  let running = 0;
  let most = 0;
  await pooledForEach(3, [1, 2, 3, 4, 5, 6, 7], async (item) => {
    most = Math.max(most, ++running);
    await Promise.resolve();
    running--;
    done.push(item);
  });
  assert.deepEqual(done.sort(), [1, 2, 3, 4, 5, 6, 7]);
  assert.equal(most, 3);
});

Deno.test("pooledForEach() resolves at once for no items", async () => {
  await pooledForEach(3, [], () => Promise.reject(new Error("not called")));
});

Deno.test("pooledForEach() rejects with the first error", async () => {
  const work = (item: number) =>
    item === 2 ? Promise.reject(new Error(`refused ${item}`)) : Promise.resolve();
  await assert.rejects(pooledForEach(1, [1, 2, 3], work), /refused 2/);
});
