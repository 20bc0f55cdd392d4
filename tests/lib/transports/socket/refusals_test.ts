import assert from "node:assert/strict";
import { MAX_REFUSALS, SocketRefusals } from "../../../../lib/transports/socket/refusals.ts";

Deno.test("refusals are a flood past 1,000 in ten seconds, whatever comes between", () => {
  const refusals = new SocketRefusals();
  for (let i = 0; i < MAX_REFUSALS; i++) {
    assert.equal(refusals.add("rate_limited", i * 9), false);
    assert.equal(refusals.add("overloaded", i * 9), false); // nothing that its sender can help
  }
  assert.equal(refusals.add("forbidden", 9_999), true);
});

Deno.test("refusals at a bearable rate never become a flood", () => {
  const refusals = new SocketRefusals();
  for (let now = 0; now < 1_000_000; now += 10) {
    assert.equal(refusals.add("unauthenticated", now), false);
  }
});
