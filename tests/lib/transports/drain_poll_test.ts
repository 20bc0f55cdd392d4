import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { install } from "@sinonjs/fake-timers";
import { DrainPoll } from "../../../lib/transports/drain_poll.ts";

Deno.test("DrainPoll wakes who drains at once without a timer, and rests afterwards", async () => {
  const clock = install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const drains = new DrainPoll();
    const rooms = [false, false, true];
    const woken: number[] = [];
    const waits = rooms.map((_, i) =>
      drains.wait(() => rooms[i] === true).then(() => void woken.push(i))
    );
    await waits[2];
    rooms[1] = true;
    await waits[1];
    rooms[0] = true;
    await waits[0];
    assert.deepEqual(woken, [2, 1, 0]);
    assert.equal(clock.countTimers(), 0);
  } finally {
    clock.uninstall();
  }
});

Deno.test("DrainPoll looks seldom at who stays full, until somebody drains", async () => {
  const clock = install({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const drains = new DrainPoll();
    let hasRoom = false;
    let looks = 0;
    const wait = drains.wait(() => {
      looks++;
      return hasRoom;
    });
    while (clock.countTimers() === 0) await new Promise((resolve) => setImmediate(resolve));
    const quick = looks;
    clock.tick(100);
    assert.equal(looks, quick + 10);
    hasRoom = true;
    clock.tick(10);
    await wait;
    assert.equal(clock.countTimers(), 0);
  } finally {
    clock.uninstall();
  }
});

Deno.test("DrainPoll lets everyone go when it closes", async () => {
  const drains = new DrainPoll();
  const wait = drains.wait(() => false);
  drains.close();
  await wait;
});
