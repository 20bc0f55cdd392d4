import assert from "node:assert/strict";
import * as fc from "fast-check";
import { RateLimiter } from "../../../lib/shared/rate_limiter.ts";

Deno.test("the amount of one second may come at once, and then that much per second", () => {
  let now = 0;
  const limiter = new RateLimiter({ now: () => now });
  for (let left = 3; left-- > 0;) {
    assert.deepEqual(limiter.take("a", 4, 1), { ok: true, remaining: left + 1, retryAfterMs: 0 });
  }
  assert.deepEqual(limiter.take("a", 4), { ok: true, remaining: 0, retryAfterMs: 0 });
  assert.deepEqual(limiter.take("a", 4), { ok: false, remaining: 0, retryAfterMs: 250 });
  now = 249;
  assert.deepEqual(limiter.take("a", 4), { ok: false, remaining: 0, retryAfterMs: 1 });
  now = 250;
  assert.deepEqual(limiter.take("a", 4), { ok: true, remaining: 0, retryAfterMs: 0 });
  assert.ok(limiter.take("b", 4).ok, "another key has its own");
});

Deno.test("a limit of 0 refuses everything", () => {
  const limiter = new RateLimiter({ now: () => 0 });
  for (const cost of [0, 1, 1_000]) {
    const refused = { ok: false, remaining: 0, retryAfterMs: Infinity };
    assert.deepEqual(limiter.take("a", 0, cost), refused);
  }
  assert.equal(limiter.size, 0);
});

Deno.test("a cost above the limit is accepted from an idle key, and leaves a debt", () => {
  let now = 0;
  const limiter = new RateLimiter({ now: () => now });
  const [limit, event] = [64 * 1024, 1024 * 1024];
  assert.deepEqual(limiter.take("a", limit, event), {
    ok: true,
    remaining: 0,
    retryAfterMs: 15_000,
  });
  assert.deepEqual(limiter.take("a", limit, event), {
    ok: false,
    remaining: 0,
    retryAfterMs: 16_000,
  });
  now = 15_999;
  assert.equal(limiter.take("a", limit, event).ok, false);
  now = 16_000;
  assert.equal(limiter.take("a", limit, event).ok, true);
});

Deno.test("whole bursts are accepted at any time, even if a cost takes a fraction of a millisecond", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3_000 }),
      fc.double({ min: 0, max: 1e10, noNaN: true }),
      (limit, now) => {
        const limiter = new RateLimiter({ now: () => now });
        for (let left = limit - 1; left >= 0; left--) {
          const { ok, remaining } = limiter.take("a", limit);
          assert.deepEqual([ok, remaining], [true, left]);
        }
        assert.equal(limiter.take("a", limit).ok, false);
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("the remaining amount is an integer", () => {
  let now = 0;
  const limiter = new RateLimiter({ now: () => now });
  limiter.take("a", 1);
  now = 999;
  assert.equal(limiter.take("a", 1, 0).remaining, 0);
  now = 1_000;
  assert.equal(limiter.take("a", 1, 0).remaining, 1);
});

Deno.test("RateLimiter behaves like a token bucket for each key", () => {
  // Costs take whole milliseconds, so that the model is exact.
  const limit = fc.constantFrom(1, 2, 5, 8, 10, 25, 100, 500, 1_000);
  const step = fc.record({
    after: fc.oneof(fc.constant(0), fc.nat(50), fc.nat(2_500)),
    key: fc.constantFrom("a", "b", "c"),
    cost: fc.oneof(fc.nat(3), fc.nat(30), fc.nat(3_000)),
  });
  let [taken, refused] = [0, 0];
  fc.assert(
    fc.property(limit, fc.array(step, { maxLength: 60, size: "max" }), (limit, steps) => {
      let now = 0;
      const limiter = new RateLimiter({ now: () => now, capacity: 12 });
      const models = new Map<string, ModelBucket>();
      for (const { after, key, cost } of steps) {
        now += after;
        // Other keys come too. Each has lost its debt when the next one comes.
        limiter.take(`other ${now}`, 1_000, 0);
        const model = models.get(key) ?? new ModelBucket(limit);
        models.set(key, model);
        const { ok, remaining, retryAfterMs } = limiter.take(key, limit, cost);
        const expected = model.take(cost, now);
        assert.deepEqual([ok, remaining], [expected, model.remaining]);
        expected ? taken++ : refused++;
        if (ok) continue;
        assert.ok(retryAfterMs > 0);
        assert.ok(model.would(cost, now + retryAfterMs));
        assert.ok(!model.would(cost, now + retryAfterMs - 1));
      }
    }),
    { numRuns: 2_000 },
  );
  assert.ok(taken > 10_000 && refused > 10_000, `${taken} taken, ${refused} refused`);
});

/** A token bucket that holds the amount of one second, in thousandths. */
class ModelBucket {
  #level: number;
  #at = 0;

  constructor(readonly limit: number) {
    this.#level = 1_000 * limit;
  }

  get remaining(): number {
    return Math.max(0, Math.floor(this.#level / 1_000));
  }

  would(cost: number, now: number): boolean {
    return this.#levelAt(now) >= 1_000 * Math.min(cost, this.limit);
  }

  take(cost: number, now: number): boolean {
    const isAllowed = this.would(cost, now);
    this.#level = this.#levelAt(now) - (isAllowed ? 1_000 * cost : 0);
    this.#at = now;
    return isAllowed;
  }

  #levelAt(now: number): number {
    return Math.min(1_000 * this.limit, this.#level + (now - this.#at) * this.limit);
  }
}

Deno.test("refund() counts as never taken", () => {
  let now = 0;
  const limiter = new RateLimiter({ now: () => now });
  limiter.take("a", 10, 3);
  limiter.take("a", 10, 5);
  limiter.refund("a", 10, 5);
  assert.equal(limiter.take("a", 10, 0).remaining, 7);
  limiter.refund("a", 10, 3);
  limiter.refund("never seen", 10, 3);
  assert.equal(limiter.take("a", 10, 0).remaining, 10);
  now = 5_000;
  assert.equal(
    limiter.take("a", 10, 0).remaining,
    10,
    "and never makes more than a second's worth",
  );
});

Deno.test("a million random keys stay within the capacity", () => {
  let now = 0;
  const limiter = new RateLimiter({ now: () => now, capacity: 10_000 });
  let largest = 0;
  for (let i = 0; i < 1_000_000; i++) {
    now += 0.001;
    limiter.take(`key ${i}`, 1, i % 2 === 0 ? 1 : 1_000);
    largest = Math.max(largest, limiter.size);
  }
  assert.ok(largest <= 10_000 && largest > 5_000, `${largest} keys`);
});

Deno.test("idle keys are dropped", () => {
  let now = 0;
  const limiter = new RateLimiter({ now: () => now });
  for (let i = 0; i < 1_000; i++) limiter.take(`key ${i}`, 1);
  assert.equal(limiter.size, 1_000);
  for (let i = 0; i < 3; i++) limiter.take(`later ${now += 1_000}`, 1);
  assert.ok(limiter.size <= 3, `${limiter.size} keys`);
});

Deno.test("a key with a debt is kept, however many idle keys come", () => {
  let now = 0;
  const limiter = new RateLimiter({ now: () => now, capacity: 100 });
  for (let i = 0; i < 25; i++) limiter.take(`limited ${i}`, 1, 1_000);
  for (now = 1; now < 999_000; now += 10) {
    limiter.take(`idle ${now}`, 1_000);
    assert.ok(limiter.size <= 100);
  }
  for (let i = 0; i < 25; i++) assert.equal(limiter.take(`limited ${i}`, 1).ok, false);
  now = 1_000_000;
  for (let i = 0; i < 25; i++) assert.equal(limiter.take(`limited ${i}`, 1).ok, true);
});

Deno.test("keys with a debt are dropped if they exceed the capacity", () => {
  const limiter = new RateLimiter({ now: () => 0, capacity: 100 });
  for (let i = 0; i < 1_000; i++) limiter.take(`limited ${i}`, 1, 1_000);
  assert.ok(limiter.size <= 100);
  let kept = 0;
  for (let i = 0; i < 1_000; i++) if (!limiter.take(`limited ${i}`, 1, 0).ok) kept++;
  assert.ok(kept > 0 && kept < 1_000, `${kept} are kept`);
});
