import assert from "node:assert/strict";
import { WorkLease } from "../../../lib/kv/work_lease.ts";
import { Clock } from "../../support/clock.ts";

const HOUR = 60 * 60 * 1_000;
const TIME = 5_000;

Deno.test("a work is one isolate's at a time, and the next one's once it is let go", async () => {
  using kv = await Deno.openKv(":memory:");
  const { now } = new Clock();
  const leases = Array.from({ length: 8 }, () => new WorkLease(kv, "work", TIME, now));
  const held = await Promise.all(leases.map((lease) => lease.hold()));
  assert.equal(held.filter((isHeld) => isHeld).length, 1);
  const holder = leases[held.indexOf(true)];
  const other = leases[held.indexOf(false)];
  assert.ok(holder && other);
  assert.equal(await holder.hold(), true);
  await other.release();
  assert.equal(await other.hold(), false, "what it hasn't, it can't give up");
  await holder.release();
  assert.equal(await other.hold(), true);
  assert.equal(await holder.hold(), false);
});

Deno.test("a work is another's when its holder shows no sign of life, whatever their clocks", async () => {
  for (const difference of [-HOUR, 0, HOUR]) {
    using kv = await Deno.openKv(":memory:");
    const clock = new Clock();
    const dead = new WorkLease(kv, "work", TIME, () => clock.now() + difference);
    const other = new WorkLease(kv, "work", TIME, clock.now);
    assert.equal(await dead.hold(), true);
    for (let i = 0; i < 3; i++) {
      assert.equal(await other.hold(), false);
      clock.pass(TIME - 1);
      assert.equal(await other.hold(), false);
      await dead.hold();
    }
    assert.equal(await other.hold(), false);
    clock.pass(TIME);
    assert.equal(await other.hold(), true);
    assert.equal(await dead.hold(), false, "it was not dead, but has to wait now");
    await dead.release();
    assert.equal(await other.hold(), true);
  }
});

Deno.test("a clock that is set back keeps nobody waiting", async () => {
  using kv = await Deno.openKv(":memory:");
  const clock = new Clock();
  assert.equal(await new WorkLease(kv, "work", TIME, clock.now).hold(), true);
  const other = new WorkLease(kv, "work", TIME, clock.now);
  assert.equal(await other.hold(), false);
  clock.pass(-HOUR);
  assert.equal(await other.hold(), true);
});
