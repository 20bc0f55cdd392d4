import assert from "node:assert/strict";
import fc from "fast-check";
import { retryDelayMs } from "../../../../lib/client/core/retry_delay.ts";

Deno.test("the delay is random below a bound that doubles from 500 ms to 30 s", () => {
  const bounds = Array.from({ length: 10 }, (_, failures) => retryDelayMs(failures, () => 1));
  assert.deepEqual(
    bounds,
    [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000],
  );
  const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(fc.property(fc.nat(10_000), share, (failures, random) => {
    const wait = retryDelayMs(failures, () => random);
    assert.equal(wait, random * retryDelayMs(failures, () => 1));
    assert.ok(wait >= 0 && wait < 30_000);
  }));
});
