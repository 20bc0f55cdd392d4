import assert from "node:assert/strict";
import { TimerWheel } from "../../../lib/transports/timer_wheel.ts";
import { FakeClock } from "../../support/clock.ts";

Deno.test("TimerWheel beats each heartbeat once a round, first after about one round", () => {
  using clock = new FakeClock({ start: 0, replaces: ["intervals"] });
  const wheel = new TimerWheel(6_000, 60);
  const beats: number[][] = [];
  const members = Array.from({ length: 40 }, () => {
    const own: number[] = [];
    beats.push(own);
    const member = wheel.add({ beat: () => own.push(clock.now()) });
    clock.advance(170);
    return member;
  });
  const added = beats.map((_, i) => i * 170);
  clock.advance(30_000);
  for (const [i, own] of beats.entries()) {
    const [first = NaN, ...others] = own;
    const delay = first - (added[i] ?? NaN);
    assert.ok(delay > 5_700 && delay <= 6_000, `first beat after ${delay} ms`);
    others.forEach((at, j) => assert.equal(at - (own[j] ?? NaN), 6_000));
  }
  for (const member of members) member[Symbol.dispose]();
  assert.equal(clock.timers, 0);
});

Deno.test("TimerWheel lets a heartbeat remove itself during its beat, even twice", () => {
  using clock = new FakeClock({ start: 0, replaces: ["intervals"] });
  const wheel = new TimerWheel(100, 10);
  let beats = 0;
  const member = wheel.add({
    beat: () => {
      beats++;
      member[Symbol.dispose]();
      member[Symbol.dispose]();
    },
  });
  const other = wheel.add({ beat: () => beats++ });
  clock.advance(1_000);
  assert.equal(beats, 11);
  other[Symbol.dispose]();
  assert.equal(clock.timers, 0);
});
