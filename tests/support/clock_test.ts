import assert from "node:assert/strict";
import { FakeClock } from "./clock.ts";

Deno.test("timers fire in order, each at its own time", () => {
  const clock = new FakeClock({ start: 0 });
  const fired: string[] = [];
  const at = (name: string) => () => fired.push(`${name} ${clock.now()}`);
  clock.setTimeout(at("late"), 30);
  clock.setTimeout(at("early"), 10);
  const interval = clock.setInterval(at("each"), 10);
  clock.clearTimeout(clock.setTimeout(at("never"), 5));
  clock.advance(29);
  assert.deepEqual(fired, ["early 10", "each 10", "each 20"]);
  clock.clearInterval(interval);
  clock.advance(1);
  assert.deepEqual(fired.at(-1), "late 30");
  assert.deepEqual([clock.now(), clock.timers], [30, 0]);
});

Deno.test("a clock that is set keeps the time that timers have left", () => {
  const clock = new FakeClock({ start: 1_000 });
  let fired = 0;
  clock.setTimeout(() => fired++, 10);
  clock.set(0);
  clock.advance(-500);
  clock.advance(9);
  assert.equal(fired, 0);
  clock.advance(1);
  assert.deepEqual([fired, clock.now()], [1, -490]);
});

Deno.test("timers that were due during a sleep fire when the machine wakes up", () => {
  const clock = new FakeClock({ start: 0 });
  const fired: number[] = [];
  clock.setTimeout(() => fired.push(clock.now()), 10);
  clock.sleep(1_000);
  assert.deepEqual(fired, [1_000]);
});

Deno.test("advanceAsync() lets promises set further timers", async () => {
  const clock = new FakeClock({ start: 0 });
  const pause = () => new Promise<void>((resolve) => void clock.setTimeout(() => resolve(), 10));
  let rounds = 0;
  const loop = (async () => {
    for (; rounds < 3; rounds++) await pause();
  })();
  await clock.advanceAsync(30);
  await loop;
  assert.equal(rounds, 3);
});

Deno.test("globals are replaced until the clock is disposed of", () => {
  const { setTimeout, clearInterval } = globalThis;
  {
    using clock = new FakeClock({
      start: 5,
      replaces: ["Date", "performance", "timeouts", "intervals"],
    });
    assert.deepEqual([Date.now(), performance.now()], [5, 5]);
    globalThis.setTimeout(() => {}, 1);
    assert.equal(clock.timers, 1);
  }
  assert.ok(Date.now() > 1_600_000_000_000);
  assert.deepEqual([globalThis.setTimeout, globalThis.clearInterval], [setTimeout, clearInterval]);
});
