import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { IsolateLease } from "../../../lib/presence/isolate_lease.ts";
import { FakeClock } from "../../support/clock.ts";
import { problem } from "../../support/log_reading.ts";

Deno.test("a join during the release of a lease finds the lease held", async () => {
  using kv = await Deno.openKv(":memory:");
  const { now } = new FakeClock();
  const lease = new IsolateLease({
    kv,
    now,
    monotonicNow: now,
    onLost: () => assert.fail("it was lost"),
  });
  await lease.ensureHeld();
  const released = lease.release(() => true);
  await lease.ensureHeld();
  await released;
  assert.ok((await kv.get(keys.isolate(lease.id))).value !== null);
});

Deno.test("a late release does not delete a lease that was renewed since", async () => {
  using kv = await Deno.openKv(":memory:");
  const clock = new FakeClock();
  const { now } = clock;
  const held = Promise.withResolvers<void>();
  let isAway = false;
  const slow = new Proxy(kv, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === "delete") {
        return (key: Deno.KvKey) => held.promise.then(() => target.delete(key));
      }
      if (name !== "atomic") return typeof value === "function" ? value.bind(target) : value;
      return () => {
        const atomic = target.atomic();
        const commit = atomic.commit.bind(atomic);
        atomic.commit = () => isAway ? held.promise.then(commit) : commit();
        return atomic;
      };
    },
  });
  const lease = new IsolateLease({
    kv: slow,
    now,
    monotonicNow: now,
    onLost: () => assert.fail("lost"),
  });
  await lease.ensureHeld();
  isAway = true;
  const released = assert.rejects(lease.release(() => true), problem("storage_unavailable"));
  await released;
  isAway = false;
  await lease.ensureHeld();
  held.resolve();
  await kv.get(["any"]);
  clock.advance(6_000);
  await lease.ensureHeld();
  assert.ok((await kv.get(keys.isolate(lease.id))).value !== null);
});
