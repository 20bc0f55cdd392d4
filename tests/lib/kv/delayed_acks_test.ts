import assert from "node:assert/strict";
import { avoidDelayedAcks } from "../../../lib/kv/delayed_acks.ts";
import { watchedKv } from "../../support/watched_kv.ts";

Deno.test("a commit comes with filler reads, but not after drain()", async () => {
  const store = await Deno.openKv(":memory:");
  let reads = 0;
  const { kv, drain } = avoidDelayedAcks(
    watchedKv(store, (name) => name === "get" && reads++),
  );
  await kv.atomic().set(["a"], 1).commit();
  assert.ok(reads >= 1);
  await drain();
  reads = 0;
  // Like a commit whose answer came after its log had closed. The test's sanitizer would report a
  // timer.
  await kv.atomic().set(["a"], 2).commit();
  await kv.set(["a"], 3);
  assert.equal(reads, 0);
  assert.equal((await store.get(["a"])).value, 3);
  store.close();
});

Deno.test("drain() returns true once all requests have answers, or false after its timeout", async () => {
  const store = await Deno.openKv(":memory:");
  const answer = Promise.withResolvers<void>();
  store.delete = () => answer.promise;
  const { kv, drain } = avoidDelayedAcks(store);
  const deleted = kv.delete(["a"]);
  assert.equal(await drain(10), false);
  const isIdle = drain(60_000);
  answer.resolve();
  assert.equal(await isIdle, true);
  await deleted;
  store.close();
});
