import assert from "node:assert/strict";
import { EphemeralDedup } from "../../../lib/kv/ephemeral_dedup.ts";

const MAX_DELAY_MS = 30_000;

Deno.test("a commit is accepted once, and none after a later one", () => {
  const dedup = new EphemeralDedup();
  const accepts = (commitNumber: number) => dedup.accepts("a", commitNumber, 0, MAX_DELAY_MS);
  assert.deepEqual([1, 1, 2, 5, 5, 4, 6].map(accepts), [
    true,
    false,
    true,
    true,
    false,
    false,
    true,
  ]);
});

Deno.test("commits of different isolates are independent", () => {
  const dedup = new EphemeralDedup();
  assert.ok(dedup.accepts("a", 7, 0, MAX_DELAY_MS));
  assert.ok(dedup.accepts("b", 1, 0, MAX_DELAY_MS));
  assert.ok(!dedup.accepts("a", 7, 0, MAX_DELAY_MS));
});

for (const clockDifferenceMs of [-3_600_000, 0, 3_600_000]) {
  Deno.test(`a commit is late compared with the one before, with clocks ${clockDifferenceMs} ms apart`, () => {
    const dedup = new EphemeralDedup();
    const accepts = (commitNumber: number, delayMs: number) =>
      dedup.accepts("a", commitNumber, clockDifferenceMs + delayMs, MAX_DELAY_MS);
    assert.ok(accepts(1, 0));
    assert.ok(accepts(2, MAX_DELAY_MS));
    assert.ok(accepts(3, 0));
    assert.ok(!accepts(4, MAX_DELAY_MS + 1));
    assert.ok(accepts(5, MAX_DELAY_MS + 1)); // the clock was set, not the commit delayed
  });
}

Deno.test("the isolates that were quiet the longest are forgotten first", () => {
  const dedup = new EphemeralDedup();
  const accepts = (isolate: string) => dedup.accepts(isolate, 1, 0, MAX_DELAY_MS);
  for (let i = 0; i < 1_000; i++) assert.ok(accepts(`${i}`));
  assert.ok(dedup.accepts("0", 2, 0, MAX_DELAY_MS));
  assert.ok(accepts("1000"));
  assert.ok(accepts("1")); // forgotten
  assert.ok(!accepts("0"));
  assert.ok(!accepts("999"));
});
