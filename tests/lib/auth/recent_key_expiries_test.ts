import assert from "node:assert/strict";
import { RecentKeyExpiries } from "../../../lib/auth/recent_key_expiries.ts";
import { grantOf } from "../../support/grants.ts";

const grantOfKey = (keyId: string) => grantOf({}, { kind: "key", keyId });

Deno.test("the latest end of a key is known for a minute, and is of no other", () => {
  let now = 0;
  const ends = new RecentKeyExpiries(() => now);
  ends.note("a", 5);
  ends.note("b", 7);
  ends.note("a", 6);
  const known = () => ["a", "b", "c"].map((id) => ends.endOf(grantOfKey(id)));
  assert.deepEqual(known(), [6, 7, Infinity]);
  assert.equal(ends.endOf(grantOf({}, { kind: "token", keyId: "a" })), Infinity);
  now = 59_999;
  ends.note("c", 8);
  assert.deepEqual(known(), [6, 7, 8]);
  now = 60_000;
  ends.note("d", 9);
  assert.deepEqual(known(), [Infinity, Infinity, 8]);
});
