import assert from "node:assert/strict";
import { type Stallable, STALLS_PER_TURN, StallWatch } from "../../../lib/hub/stall_watch.ts";
import { FakeClock } from "../../support/clock.ts";

/** Runs `body` with fake timers, which it moves. */
function onFakeTime(body: (tick: (milliseconds: number) => void) => void): void {
  using clock = new FakeClock({ replaces: ["timeouts", "performance"] });
  body((milliseconds) => void clock.advance(milliseconds));
  assert.equal(clock.timers, 0);
}

/** Creates a subscription that, as a real one does, leaves the watch when it ends. */
function stallable(
  watch: StallWatch,
  ended: string[],
  name: string,
): Stallable & { takenAt: number } {
  const end = (reason: string) => {
    ended.push(`${name} ${reason}`);
    watch.remove(subscription);
  };
  const subscription = { end, takenAt: 0 };
  return subscription;
}

Deno.test("StallWatch ends a subscription that has waited for the whole timeout, not before", () => {
  onFakeTime((tick) => {
    const watch = new StallWatch(1_000);
    const ended: string[] = [];
    watch.add(stallable(watch, ended, "a"));
    tick(600);
    watch.add(stallable(watch, ended, "b"));
    tick(399);
    assert.deepEqual(ended, []);
    tick(1);
    assert.deepEqual(ended, ["a slow"]);
    tick(599);
    assert.deepEqual(ended, ["a slow"]);
    tick(1);
    assert.deepEqual(ended, ["a slow", "b slow"]);
  });
});

Deno.test("StallWatch does not end a subscription that takes something in time", () => {
  onFakeTime((tick) => {
    const watch = new StallWatch(1_000);
    const ended: string[] = [];
    const slow = stallable(watch, ended, "a");
    for (let i = 0; i < 20; i++) {
      watch.add(slow);
      tick(900);
      watch.remove(slow);
    }
    tick(1_000);
    assert.deepEqual(ended, []);
  });
});

Deno.test("StallWatch does not end a subscription that waits while its client takes other events", () => {
  onFakeTime((tick) => {
    const watch = new StallWatch(1_000);
    const ended: string[] = [];
    const slow = stallable(watch, ended, "slow");
    watch.add(stallable(watch, ended, "stuck"));
    watch.add(slow);
    for (let i = 0; i < 20; i++) {
      tick(900);
      slow.takenAt = performance.now();
    }
    assert.deepEqual(ended, ["stuck slow"]);
    tick(2_000);
    assert.deepEqual(ended, ["stuck slow", "slow slow"]);
  });
});

Deno.test("StallWatch ends thousands of subscriptions in several turns", () => {
  onFakeTime((tick) => {
    const watch = new StallWatch(1_000);
    const ended: string[] = [];
    for (let i = 0; i < 2.5 * STALLS_PER_TURN; i++) watch.add(stallable(watch, ended, `${i}`));
    tick(999);
    assert.equal(ended.length, 0);
    for (const share of [1, 2, 2.5]) {
      tick(1); // a timer of 0 ms fires with the next tick
      assert.equal(ended.length, share * STALLS_PER_TURN);
    }
  });
});
