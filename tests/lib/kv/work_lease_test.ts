import assert from "node:assert/strict";
import { WorkLease } from "../../../lib/kv/work_lease.ts";
import { FakeClock } from "../../support/clock.ts";

const HOUR = 60 * 60 * 1_000;
const LEASE_MS = 5_000;

function openLease(kv: Deno.Kv, now: () => number): WorkLease {
  return new WorkLease({ kv, work: "work", leaseMs: LEASE_MS, now });
}

Deno.test("one isolate at a time holds a work lease, until it releases it", async () => {
  using kv = await Deno.openKv(":memory:");
  const { now } = new FakeClock();
  const leases = Array.from({ length: 8 }, () => openLease(kv, now));
  const held = await Promise.all(leases.map((lease) => lease.hold()));
  assert.equal(held.filter((isHeld) => isHeld).length, 1);
  const holder = leases[held.indexOf(true)];
  const other = leases[held.indexOf(false)];
  assert.ok(holder && other);
  assert.equal(await holder.hold(), true);
  await other.release();
  assert.equal(await other.hold(), false, "an isolate cannot release what it does not hold");
  await holder.release();
  assert.equal(await other.hold(), true);
  assert.equal(await holder.hold(), false);
});

Deno.test("another isolate takes over a lease that is not renewed, even if their clocks differ", async () => {
  for (const difference of [-HOUR, 0, HOUR]) {
    using kv = await Deno.openKv(":memory:");
    const clock = new FakeClock();
    const dead = openLease(kv, () => clock.now() + difference);
    const other = openLease(kv, clock.now);
    assert.equal(await dead.hold(), true);
    for (let i = 0; i < 3; i++) {
      assert.equal(await other.hold(), false);
      clock.advance(LEASE_MS - 1);
      assert.equal(await other.hold(), false);
      await dead.hold();
    }
    assert.equal(await other.hold(), false);
    clock.advance(LEASE_MS);
    assert.equal(await other.hold(), true);
    assert.equal(await dead.hold(), false, "the delayed holder has to wait");
    await dead.release();
    assert.equal(await other.hold(), true);
  }
});

Deno.test("a clock that is set back does not delay the takeover", async () => {
  using kv = await Deno.openKv(":memory:");
  const clock = new FakeClock();
  assert.equal(await openLease(kv, clock.now).hold(), true);
  const other = openLease(kv, clock.now);
  assert.equal(await other.hold(), false);
  clock.advance(-HOUR);
  assert.equal(await other.hold(), true);
});
