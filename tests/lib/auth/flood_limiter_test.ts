import assert from "node:assert/strict";
import { FloodLimiter } from "../../../lib/auth/flood_limiter.ts";
import { Problem } from "../../../lib/shared/problem.ts";

const [MINE, OTHER] = ["192.0.2.1", "192.0.2.2"];

function opens(limiter: FloodLimiter, ip: string, count: number): number {
  let opened = 0;
  for (let i = 0; i < count; i++) {
    try {
      limiter.open(ip);
      opened++;
    } catch (cause) {
      assert.ok(cause instanceof Problem && cause.code === "rate_limited");
    }
  }
  return opened;
}

Deno.test("an IP opens four sockets a second for a minute after its last flood", () => {
  let now = 0;
  const limiter = new FloodLimiter(() => now);
  assert.equal(opens(limiter, MINE, 100), 100);
  limiter.flooded(MINE);
  assert.equal(opens(limiter, MINE, 100), 4);
  assert.equal(opens(limiter, OTHER, 100), 100);
  now = 1_000;
  assert.equal(opens(limiter, MINE, 100), 4);
  limiter.flooded(MINE);
  now = 60_999;
  assert.equal(opens(limiter, MINE, 100), 4);
  now = 61_000;
  assert.equal(opens(limiter, MINE, 100), 100);
});

Deno.test("clients whose IP is unknown are not limited", () => {
  const limiter = new FloodLimiter(() => 0);
  limiter.flooded("");
  assert.equal(opens(limiter, "", 100), 100);
});
