import assert from "node:assert/strict";
import { CredentialCache, MAX_CACHED_CREDENTIALS } from "../../../lib/auth/credential_cache.ts";
import { authorityOf } from "../../support/grants.ts";
import { FakeClock } from "../../support/clock.ts";

Deno.test("caches a token until it expires, an API key for at most a minute", () => {
  const clock = new FakeClock({ start: 0 });
  const verified = new CredentialCache(clock.now);
  verified.add("token", authorityOf({}, { expiresAt: 100_000 }));
  verified.add("key", authorityOf({}, { kind: "key" }));
  verified.add("brief", authorityOf({}, { kind: "key", expiresAt: 10_000 }));
  const known = () => ["token", "key", "brief"].filter((each) => verified.get(each) !== undefined);
  assert.deepEqual(known(), ["token", "key", "brief"]);
  clock.set(10_000);
  assert.deepEqual(known(), ["token", "key"]);
  clock.set(60_000);
  assert.deepEqual(known(), ["token"]);
  clock.set(100_000);
  assert.deepEqual(known(), []);
});

Deno.test("evicts the least recently used credentials", () => {
  const verified = new CredentialCache(() => 0);
  const authority = authorityOf();
  for (let i = 0; i < MAX_CACHED_CREDENTIALS; i++) verified.add(`t${i}`, authority);
  assert.equal(verified.get("t0"), authority);
  verified.add("t1", authority);
  assert.equal(verified.get("t2"), authority); // there is room for all so far
  verified.add("new", authority);
  const known = ["t0", "t1", "t2", "t3", `t${MAX_CACHED_CREDENTIALS - 1}`, "new"];
  assert.deepEqual(
    known.map((each) => verified.get(each) !== undefined),
    [true, true, true, false, true, true],
  );
  const kept = Array.from({ length: MAX_CACHED_CREDENTIALS }, (_, i) => verified.get(`t${i}`));
  assert.equal(kept.filter((each) => each !== undefined).length, 0.75 * MAX_CACHED_CREDENTIALS - 1);
});

Deno.test("forget() removes matching credentials", () => {
  const verified = new CredentialCache(() => 0);
  verified.add("a", authorityOf({}, { tokenId: "1" }));
  verified.add("b", authorityOf({}, { tokenId: "2" }));
  verified.forget(({ tokenId }) => tokenId === "1");
  assert.deepEqual([verified.get("a"), verified.get("b")?.grant.tokenId], [undefined, "2"]);
});
