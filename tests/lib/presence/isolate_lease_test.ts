import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { IsolateLease } from "../../../lib/presence/isolate_lease.ts";
import { Clock } from "../../support/clock.ts";

Deno.test("who is let in while the lease is given up finds it held", async () => {
  using kv = await Deno.openKv(":memory:");
  const { now } = new Clock();
  const lease = new IsolateLease({ kv, now, ticks: now, onLost: () => assert.fail("it was lost") });
  await lease.hold();
  const released = lease.release(() => true);
  await lease.hold();
  await released;
  assert.ok((await kv.get(keys.isolate(lease.id))).value !== null);
});
