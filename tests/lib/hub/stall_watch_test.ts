import assert from "node:assert/strict";
import { install } from "@sinonjs/fake-timers";
import { StallWatch } from "../../../lib/hub/stall_watch.ts";
import type { Subscription } from "../../../lib/hub/subscription.ts";

/** Runs `body` on a clock that it sets. */
function onFakeTime(body: (tick: (milliseconds: number) => void) => void): void {
  const clock = install({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    body((milliseconds) => void clock.tick(milliseconds));
    assert.equal(clock.countTimers(), 0);
  } finally {
    clock.uninstall();
  }
}

/** A subscription that leaves the watch when it is ended, as a real one does. */
function waiter(watch: StallWatch, ended: string[], name: string): Subscription {
  const end = (reason: string) => {
    ended.push(`${name} ${reason}`);
    watch.remove(subscription);
  };
  const subscription = { end } as unknown as Subscription; // all that the watch uses of it
  return subscription;
}

Deno.test("StallWatch ends as slow who has waited for the whole limit, and not before", () => {
  onFakeTime((tick) => {
    const watch = new StallWatch(1_000);
    const ended: string[] = [];
    watch.add(waiter(watch, ended, "a"));
    tick(600);
    watch.add(waiter(watch, ended, "b"));
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

Deno.test("StallWatch starts anew with who took something meanwhile", () => {
  onFakeTime((tick) => {
    const watch = new StallWatch(1_000);
    const ended: string[] = [];
    const slow = waiter(watch, ended, "a");
    for (let i = 0; i < 20; i++) {
      watch.add(slow);
      tick(900);
      watch.remove(slow);
    }
    tick(1_000);
    assert.deepEqual(ended, []);
  });
});
