import assert from "node:assert/strict";
import { avoidDelayedAcks } from "../../../lib/kv/delayed_acks.ts";
import { watchedKv } from "../../support/watched_kv.ts";

Deno.test("a commit has company, and none any more once the store is quiet", async () => {
  const store = await Deno.openKv(":memory:");
  let reads = 0;
  const { kv, drain } = avoidDelayedAcks(
    watchedKv(store, (name) => name === "get" && reads++),
  );
  await kv.atomic().set(["a"], 1).commit();
  assert.ok(reads >= 1);
  await drain();
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
  const answer = Promise.withResolvers<void>();
  store.delete = () => answer.promise;
  const { kv, drain } = avoidDelayedAcks(store);
  const deleted = kv.delete(["a"]);
  assert.equal(await drain(10), false);
  const isQuiet = drain(60_000);
  answer.resolve();
  assert.equal(await isQuiet, true);
  await deleted;
  store.close();
});
