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

Deno.test("a store is quiet once every request is answered, and says where one is not", async () => {
  const store = await Deno.openKv(":memory:");
  const answer = Promise.withResolvers<Deno.KvEntryMaybe<unknown>>();
  const slow = new Proxy(store, {
    get(target, name) {
      if (name === "getMany") return () => answer.promise;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const { kv, quiet } = accompanied(slow);
  const read = kv.getMany([["a"]]);
  assert.equal(await quiet(10), false);
  const isQuiet = quiet(60_000);
  answer.resolve(await store.get(["a"]));
  assert.equal(await isQuiet, true);
  await read;
  store.close();
});
