import assert from "node:assert/strict";
import { RecentKeyExpiries } from "../../../lib/auth/recent_key_expiries.ts";
import { grantOf } from "../../support/grants.ts";
import { FakeClock } from "../../support/clock.ts";

const grantOfKey = (keyId: string) => grantOf({}, { kind: "key", keyId });

Deno.test("keeps the latest expiry of each key for a minute", () => {
  const clock = new FakeClock({ start: 0 });
  const ends = new RecentKeyExpiries(clock.now);
  ends.add("a", 5);
  ends.add("b", 7);
  ends.add("a", 6);
  const known = () => ["a", "b", "c"].map((id) => ends.expiryOf(grantOfKey(id)));
  assert.deepEqual(known(), [6, 7, Infinity]);
  assert.equal(ends.expiryOf(grantOf({}, { kind: "token", keyId: "a" })), Infinity);
  clock.set(59_999);
  ends.add("c", 8);
  assert.deepEqual(known(), [6, 7, 8]);
  clock.set(60_000);
  ends.add("d", 9);
  assert.deepEqual(known(), [Infinity, Infinity, 8]);
});
