import assert from "node:assert/strict";
import { LeaseWatch } from "../../../lib/kv/lease_watch.ts";

const LEASE_MS = 5_000;
const MAX_PAUSE_MS = 9_000;

/** One look at one lease: [when it started, versionstamp, whether the lease has expired]. */
type Look = readonly [startedMs: number, versionstamp: string, isExpired: boolean];

interface Case {
  readonly behaviour: string;
  readonly maxPauseMs?: number;
  readonly looks: readonly Look[];
}

const CASES: readonly Case[] = [
  {
    behaviour: "a lease that does not change expires after its time",
    looks: [[0, "a", false], [LEASE_MS - 1, "a", false], [LEASE_MS, "a", true]],
  },
  {
    behaviour: "an expired lease stays expired",
    looks: [[0, "a", false], [LEASE_MS, "a", true], [2 * LEASE_MS, "a", true]],
  },
  {
    behaviour: "a renewed lease starts over",
    looks: [[0, "a", false], [4_999, "b", false], [9_998, "b", false], [9_999, "b", true]],
  },
  {
    behaviour: "a lease that is renewed after it expired starts over",
    looks: [[0, "a", false], [LEASE_MS, "a", true], [6_000, "b", false], [10_999, "b", false]],
  },
  {
    behaviour: "a first look finds no lease expired, whenever it comes",
    looks: [[1_000_000, "a", false]],
  },
  {
    behaviour: "without a maximum pause a lease expires over any pause",
    looks: [[0, "a", false], [1_000_000, "a", true]],
  },
  {
    behaviour: "after the longest allowed pause a lease can expire",
    maxPauseMs: MAX_PAUSE_MS,
    looks: [[0, "a", false], [MAX_PAUSE_MS, "a", true]],
  },
  {
    behaviour: "after a longer pause all leases count as first seen",
    maxPauseMs: MAX_PAUSE_MS,
    looks: [
      [0, "a", false],
      [MAX_PAUSE_MS + 1, "a", false],
      [MAX_PAUSE_MS + LEASE_MS, "a", false],
      [MAX_PAUSE_MS + 1 + LEASE_MS, "a", true],
    ],
  },
  {
    behaviour: "a clock that is set back lets a lease expire",
    looks: [[1_000_000, "a", false], [0, "a", true]],
  },
];

for (const { behaviour, maxPauseMs, looks } of CASES) {
  Deno.test(behaviour, () => {
    const watch = new LeaseWatch(maxPauseMs === undefined ? {} : { maxPauseMs });
    for (const [startedMs, versionstamp, isExpired] of looks) {
      const { expired } = watch.look([{ id: "x", versionstamp, leaseMs: LEASE_MS }], startedMs);
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
  watch.look(readings, 0);
  assert.deepEqual([...watch.look(readings, 1_000).expired], ["short"]);
  assert.deepEqual([...watch.look(readings, 2_000).expired], ["short", "long"]);
});

Deno.test("a lease that was missing counts as first seen when it returns", () => {
  const watch = new LeaseWatch();
  const reading = { id: "x", versionstamp: "a", leaseMs: LEASE_MS };
  watch.look([reading], 0);
  watch.look([], 1_000);
  assert.equal(watch.look([reading], 8_000).expired.size, 0);
  assert.equal(watch.look([reading], 8_000 + LEASE_MS).expired.size, 1);
});

Deno.test("a slow read counts against expiry on both sides", () => {
  const watch = new LeaseWatch();
  const reading = { id: "x", versionstamp: "a", leaseMs: LEASE_MS };
  watch.look([reading], 0, 2_000);
  assert.equal(watch.look([reading], 6_999, 20_000).expired.size, 0);
  assert.equal(watch.look([reading], 2_000 + LEASE_MS, 20_000).expired.size, 1);
});

Deno.test("a look says whether it came after too long a pause", () => {
  const watch = new LeaseWatch({ maxPauseMs: MAX_PAUSE_MS });
  assert.equal(watch.look([], 0).isAfterPause, false, "the first look");
  assert.equal(watch.look([], MAX_PAUSE_MS).isAfterPause, false);
  assert.equal(watch.look([], 2 * MAX_PAUSE_MS, 2 * MAX_PAUSE_MS + 1).isAfterPause, true);
});
