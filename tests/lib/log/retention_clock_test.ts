import assert from "node:assert/strict";
import { nextClock, RetentionClock } from "../../../lib/log/retention_clock.ts";

const T = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

Deno.test("nextClock() follows the clock, except for a step ahead in its first hour", () => {
  const rows = [
    [null, T, 0, { time: T }],
    [{ time: T }, T + MINUTE, MINUTE, { time: T + MINUTE }],
    [{ time: T }, T - HOUR, MINUTE, { time: T - HOUR }], // set back
    [{ time: T }, T + 6 * MINUTE, MINUTE, { time: T + 6 * MINUTE }],
    [{ time: T }, T + 6 * MINUTE + 1, MINUTE, { time: T + MINUTE, aheadMs: MINUTE }],
    [{ time: T }, T + HOUR, HOUR, { time: T + HOUR }], // a long pass, no step
    [{ time: T }, T + 48 * HOUR, 0, { time: T, aheadMs: 0 }], // restarted after two days
    [{ time: T, aheadMs: MINUTE }, T + 48 * HOUR, MINUTE, {
      time: T + MINUTE,
      aheadMs: 2 * MINUTE,
    }],
    [{ time: T, aheadMs: 59 * MINUTE }, T + 48 * HOUR, MINUTE, { time: T + 48 * HOUR }],
    [{ time: T, aheadMs: MINUTE }, T + MINUTE, MINUTE, { time: T + MINUTE }], // corrected
  ] as const;
  for (const [last, now, elapsedMs, expected] of rows) {
    assert.deepEqual(nextClock(last, now, elapsedMs), expected, JSON.stringify([last, now - T]));
  }
});

/** A machine with a clock, and the store that it shares with others. */
class Machine {
  time: number;
  monotonicMs = 0;
  readonly warnings: string[] = [];
  readonly clock: RetentionClock;

  constructor(kv: Deno.Kv, time: number) {
    this.time = time;
    this.clock = new RetentionClock({
      kv,
      now: () => this.time,
      monotonicNow: () => this.monotonicMs,
      onWarning: (message) => this.warnings.push(message),
    });
  }

  /** Returns the time of a pass, in ms since {@link T}. */
  async pass(afterMs = 0): Promise<number> {
    this.time += afterMs;
    this.monotonicMs += afterMs;
    return await this.clock.time() - T;
  }
}

Deno.test("a clock that jumps ahead is followed after an hour, and reported once", async () => {
  using kv = await Deno.openKv(":memory:");
  const machine = new Machine(kv, T);
  assert.equal(await machine.pass(), 0);
  assert.equal(await machine.pass(MINUTE), MINUTE);
  machine.time += 48 * HOUR;
  for (let minutes = 2; minutes <= 60; minutes++) {
    assert.equal(await machine.pass(MINUTE), minutes * MINUTE);
  }
  assert.equal(machine.warnings.length, 1);
  assert.match(machine.warnings[0] ?? "", /2880 minutes ahead/);
  assert.equal(await machine.pass(MINUTE), 48 * HOUR + 61 * MINUTE);
  assert.equal(await machine.pass(MINUTE), 48 * HOUR + 62 * MINUTE);
  assert.equal(machine.warnings.length, 1);
});

Deno.test("a machine that takes over with a clock that is ahead is not followed", async () => {
  using kv = await Deno.openKv(":memory:");
  const [right, wrong] = [new Machine(kv, T), new Machine(kv, T + 48 * HOUR)];
  await right.pass();
  assert.equal(await wrong.pass(MINUTE), 0);
  assert.equal(await wrong.pass(MINUTE), MINUTE);
  assert.equal(await right.pass(2 * MINUTE), 2 * MINUTE);
  assert.equal(await new Machine(kv, T + 48 * HOUR).pass(), 2 * MINUTE);
});

Deno.test("the time is written at most once in a minute", async () => {
  using kv = await Deno.openKv(":memory:");
  const machine = new Machine(kv, T);
  const versions = new Set<string | null>();
  for (let i = 0; i < 13; i++) {
    assert.equal(await machine.pass(10_000), (i + 1) * 10_000);
    versions.add((await kv.get(["retention_clock"])).versionstamp);
  }
  assert.equal(versions.size, 3);
});
