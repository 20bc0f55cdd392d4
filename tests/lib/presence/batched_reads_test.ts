import assert from "node:assert/strict";
import { BatchedReads } from "../../../lib/presence/batched_reads.ts";
import { problem } from "../../support/log_reading.ts";

/** Opens a store that records the size of each read, and fails if a key is `broken`. */
async function openCounted() {
  const kv = await Deno.openKv(":memory:");
  const asked: number[] = [];
  const counted = new Proxy(kv, {
    get(target, name) {
      if (name !== "getMany") return Reflect.get(target, name, target);
      return (keys: readonly Deno.KvKey[]) => {
        asked.push(keys.length);
        if (keys.some(([first]) => first === "broken")) return Promise.reject(new Error("broken"));
        return target.getMany([...keys]);
      };
    },
  });
  return { kv, counted, asked };
}

Deno.test("reads of the same turn form batches, in which each row is read once", async () => {
  const { kv, counted, asked } = await openCounted();
  using _ = kv;
  for (let i = 0; i < 25; i++) await kv.set(["row", `${i}`], i);
  const reads = new BatchedReads(counted);
  const rows = Array.from({ length: 25 }, (_, i) => reads.get<number>(["row", `${i}`]));
  const again = Array.from({ length: 25 }, () => reads.get<number>(["row", "7"]));
  assert.deepEqual((await Promise.all(rows)).map(({ value }) => value), [...Array(25).keys()]);
  for (const { value } of await Promise.all(again)) assert.equal(value, 7);
  assert.deepEqual(asked, [10, 10, 5]);
});

Deno.test("a read sees what was written before it was requested", async () => {
  const { kv, counted } = await openCounted();
  using _ = kv;
  const reads = new BatchedReads(counted);
  const seen: Promise<void>[] = [];
  for (let i = 0; i < 100; i++) {
    await kv.set(["row"], i);
    seen.push(reads.get<number>(["row"]).then(({ value }) => assert.ok(Number(value) >= i)));
  }
  await Promise.all(seen);
});

Deno.test("a failed batch rejects its own reads, and later batches continue", async () => {
  const { kv, counted } = await openCounted();
  using _ = kv;
  const reads = new BatchedReads(counted);
  const [broken, whole] = await Promise.allSettled([
    reads.get(["broken"]),
    ...Array.from({ length: 9 }, (_, i) => reads.get(["sibling", `${i}`])),
    reads.get(["whole"]),
  ]).then((all) => [all[0], all[10]]);
  assert.equal(broken?.status, "rejected");
  assert.equal(whole?.status, "fulfilled");
  await assert.rejects(reads.get(["broken"]), problem("storage_unavailable"));
  assert.equal((await reads.get(["whole"])).value, null);
});
