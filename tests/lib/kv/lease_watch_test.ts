import assert from "node:assert/strict";
import { LeaseWatch } from "../../../lib/kv/lease_watch.ts";

const LEASE_MS = 5_000;
const MAX_PAUSE_MS = 9_000;

/** A check of one lease: [when it started, versionstamp, whether the lease has expired]. */
type Check = readonly [startedMs: number, versionstamp: string, isExpired: boolean];

interface Case {
  readonly behaviour: string;
  readonly maxPauseMs?: number;
  readonly checks: readonly Check[];
}

const CASES: readonly Case[] = [
  {
    behaviour: "a lease that does not change expires after its time",
    checks: [[0, "a", false], [LEASE_MS - 1, "a", false], [LEASE_MS, "a", true]],
  },
  {
    behaviour: "an expired lease stays expired",
    checks: [[0, "a", false], [LEASE_MS, "a", true], [2 * LEASE_MS, "a", true]],
  },
  {
    behaviour: "a renewed lease starts over",
    checks: [[0, "a", false], [4_999, "b", false], [9_998, "b", false], [9_999, "b", true]],
  },
  {
    behaviour: "a lease that is renewed after it expired starts over",
    checks: [[0, "a", false], [LEASE_MS, "a", true], [6_000, "b", false], [10_999, "b", false]],
  },
  {
    behaviour: "the first check finds no expired lease, at any time",
    checks: [[1_000_000, "a", false]],
  },
  {
    behaviour: "without a maximum pause a lease expires over any pause",
    checks: [[0, "a", false], [1_000_000, "a", true]],
  },
  {
    behaviour: "after the longest allowed pause a lease can expire",
    maxPauseMs: MAX_PAUSE_MS,
    checks: [[0, "a", false], [MAX_PAUSE_MS, "a", true]],
  },
  {
    behaviour: "after a longer pause all leases count as first seen",
    maxPauseMs: MAX_PAUSE_MS,
    checks: [
      [0, "a", false],
      [MAX_PAUSE_MS + 1, "a", false],
      [MAX_PAUSE_MS + LEASE_MS, "a", false],
      [MAX_PAUSE_MS + 1 + LEASE_MS, "a", true],
    ],
  },
  {
    behaviour: "a clock that is set back lets a lease expire",
    checks: [[1_000_000, "a", false], [0, "a", true]],
  },
];

for (const { behaviour, maxPauseMs, checks } of CASES) {
  Deno.test(behaviour, () => {
    const watch = new LeaseWatch(maxPauseMs === undefined ? {} : { maxPauseMs });
    for (const [startedMs, versionstamp, isExpired] of checks) {
      const { expired } = watch.check([{ id: "x", versionstamp, leaseMs: LEASE_MS }], startedMs);
      assert.equal(expired.has("x"), isExpired, `at ${startedMs}`);
    }
  });
}

Deno.test("each lease has its own time", () => {
  const watch = new LeaseWatch();
  const readings = [
    { id: "short", versionstamp: "a", leaseMs: 1_000 },
    { id: "long", versionstamp: "a", leaseMs: 2_000 },
  ];
  watch.check(readings, 0);
  assert.deepEqual([...watch.check(readings, 1_000).expired], ["short"]);
  assert.deepEqual([...watch.check(readings, 2_000).expired], ["short", "long"]);
});

Deno.test("a lease that was missing counts as first seen when it returns", () => {
  const watch = new LeaseWatch();
  const reading = { id: "x", versionstamp: "a", leaseMs: LEASE_MS };
  watch.check([reading], 0);
  watch.check([], 1_000);
  assert.equal(watch.check([reading], 8_000).expired.size, 0);
  assert.equal(watch.check([reading], 8_000 + LEASE_MS).expired.size, 1);
});

Deno.test("a slow read counts against expiry on both sides", () => {
  const watch = new LeaseWatch();
  const reading = { id: "x", versionstamp: "a", leaseMs: LEASE_MS };
  watch.check([reading], 0, 2_000);
  assert.equal(watch.check([reading], 6_999, 20_000).expired.size, 0);
  assert.equal(watch.check([reading], 2_000 + LEASE_MS, 20_000).expired.size, 1);
});

Deno.test("a check says whether the pause before it was too long", () => {
  const watch = new LeaseWatch({ maxPauseMs: MAX_PAUSE_MS });
  assert.equal(watch.check([], 0).isAfterPause, false, "the first check");
  assert.equal(watch.check([], MAX_PAUSE_MS).isAfterPause, false);
  assert.equal(watch.check([], 2 * MAX_PAUSE_MS, 2 * MAX_PAUSE_MS + 1).isAfterPause, true);
});
