import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { DrainPoller } from "../../../lib/transports/drain_poller.ts";
import { FakeClock } from "../../support/clock.ts";

Deno.test("a socket that drains soon is found without a timer, and none is left", async () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  const poller = new DrainPoller();
  const rooms = [false, false, true];
  const woken: number[] = [];
  const waits = rooms.map((_, i) =>
    poller.waitForRoom(() => rooms[i] === true).then(() => void woken.push(i))
  );
  await waits[2];
  rooms[1] = true;
  await waits[1];
  rooms[0] = true;
  await waits[0];
  assert.deepEqual(woken, [2, 1, 0]);
  assert.equal(clock.timers, 0);
});

Deno.test("a socket that stays full is polled every 10 ms until it drains", async () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  const poller = new DrainPoller();
  let hasRoom = false;
  let looks = 0;
  const wait = poller.waitForRoom(() => {
    looks++;
    return hasRoom;
  });
  while (clock.timers === 0) await new Promise((resolve) => setImmediate(resolve));
  const quick = looks;
  clock.advance(100);
  assert.equal(looks, quick + 10);
  hasRoom = true;
  clock.advance(10);
  await wait;
  assert.equal(clock.timers, 0);
});

Deno.test("close() resolves all waits", async () => {
  const poller = new DrainPoller();
  const wait = poller.waitForRoom(() => false);
  poller.close();
  await wait;
});
