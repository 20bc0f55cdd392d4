import assert from "node:assert/strict";
import { SilenceWatch } from "../../../../lib/client/transports/silence_watch.ts";
import { FakePlatform } from "../../../support/client_platform.ts";

const HEARTBEAT = 15_000;

function setUp({ canAsk = true } = {}) {
  const device = new FakePlatform();
  const seen = { asked: 0, dead: 0 };
  /** The error of the clock, in ms. */
  const clock = { error: 0 };
  const platform = device.platform({ now: () => device.clock.now() + clock.error });
  const shared = { platform, timing: { heartbeatMs: HEARTBEAT } };
  const inquire = canAsk ? () => void seen.asked++ : undefined;
  const watch = new SilenceWatch(shared, () => void seen.dead++, inquire);
  return { device, clock, seen, watch };
}

Deno.test("the other end is asked after one silent heartbeat, and considered gone after two", () => {
  const { device, seen } = setUp();
  device.clock.advance(HEARTBEAT - 1);
  assert.deepEqual(seen, { asked: 0, dead: 0 });
  device.clock.advance(1);
  assert.deepEqual(seen, { asked: 1, dead: 0 });
  device.clock.advance(HEARTBEAT - 1);
  assert.deepEqual(seen, { asked: 1, dead: 0 });
  device.clock.advance(1);
  assert.deepEqual(seen, { asked: 1, dead: 1 });
  assert.equal(device.clock.timers, 0);
});

Deno.test("anything received counts as activity", () => {
  const { device, seen, watch } = setUp();
  for (let i = 0; i < 10; i++) {
    device.clock.advance(1.9 * HEARTBEAT);
    watch.heard();
  }
  assert.equal(seen.dead, 0);
  assert.ok(seen.asked >= 9);
  watch.stop();
});

Deno.test("after the machine slept the other end is asked immediately and has 5 s to answer", () => {
  const { device, seen, watch } = setUp();
  device.clock.sleep(3_600_000);
  assert.deepEqual(seen, { asked: 1, dead: 0 });
  device.clock.advance(4_999);
  watch.heard();
  device.clock.advance(1);
  assert.equal(seen.dead, 0);
  device.clock.sleep(3_600_000);
  device.clock.advance(5_000);
  assert.deepEqual(seen, { asked: 2, dead: 1 });
});

Deno.test("a clock that is set back hides silence for at most one heartbeat", () => {
  const { device, clock, seen } = setUp();
  device.clock.advance(HEARTBEAT / 2);
  clock.error = -3_600_000;
  device.clock.advance(3 * HEARTBEAT);
  assert.deepEqual(seen, { asked: 1, dead: 1 });
});

Deno.test("a check asks immediately, or tests for overdue data if it cannot ask", () => {
  const asking = setUp();
  asking.device.clock.advance(1_000);
  asking.watch.check();
  assert.equal(asking.seen.asked, 1);
  asking.device.clock.advance(5_000);
  assert.equal(asking.seen.dead, 1);

  const mute = setUp({ canAsk: false });
  mute.device.clock.advance(1_000);
  mute.watch.check();
  mute.device.clock.advance(HEARTBEAT);
  assert.equal(mute.seen.dead, 0);
  mute.watch.check();
  mute.device.clock.advance(5_000);
  assert.equal(mute.seen.dead, 1);
});
