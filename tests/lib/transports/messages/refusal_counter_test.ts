import assert from "node:assert/strict";
import {
  MAX_REFUSALS,
  RefusalCounter,
} from "../../../../lib/transports/messages/refusal_counter.ts";

Deno.test("more than 1,000 counted refusals in ten seconds are a flood, even with other answers between", () => {
  const refusals = new RefusalCounter();
  for (let i = 0; i < MAX_REFUSALS; i++) {
    assert.equal(refusals.add("rate_limited", i * 9), false);
    assert.equal(refusals.add("overloaded", i * 9), false); // not the sender's fault
  }
  assert.equal(refusals.add("forbidden", 9_999), true);
});

Deno.test("refusals below the rate never become a flood", () => {
  const refusals = new RefusalCounter();
  for (let now = 0; now < 1_000_000; now += 10) {
    assert.equal(refusals.add("unauthenticated", now), false);
  }
});
