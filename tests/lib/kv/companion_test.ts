import assert from "node:assert/strict";
import { accompanied } from "../../../lib/kv/companion.ts";

Deno.test("a commit has company, and none any more once the store is quiet", async () => {
  const store = await Deno.openKv(":memory:");
  let reads = 0;
  const counted = new Proxy(store, {
    get(target, name) {
      if (name === "get") reads++;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const { kv, quiet } = accompanied(counted);
  await kv.atomic().set(["a"], 1).commit();
  assert.ok(reads >= 1);
  await quiet();
  reads = 0;
  // As a commit does whose answer came when its log had closed. A timer would be told by the
  // test's sanitizer.
  await kv.atomic().set(["a"], 2).commit();
  await kv.set(["a"], 3);
  assert.equal(reads, 0);
  assert.equal((await store.get(["a"])).value, 3);
  store.close();
});
