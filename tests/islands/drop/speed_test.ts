import assert from "node:assert/strict";
import { SpeedMeter, timeFor } from "../../../islands/drop/speed.ts";

Deno.test("the speed is the mean over the last three seconds", () => {
  const meter = new SpeedMeter();
  assert.equal(meter.bytesPerSecond, undefined);
  meter.add(0, 0);
  assert.equal(meter.bytesPerSecond, undefined);
  meter.add(1_000, 500);
  assert.equal(meter.bytesPerSecond, 500);
  for (let second = 2; second <= 10; second++) meter.add(second * 1_000, 500 + second * 100);
  assert.equal(meter.bytesPerSecond, 100);
});

Deno.test("a transfer that stalls comes down to no speed", () => {
  const meter = new SpeedMeter();
  meter.add(0, 0);
  meter.add(250, 1_000);
  for (let at = 500; at <= 4_000; at += 250) meter.add(at, 1_000);
  assert.equal(meter.bytesPerSecond, 0);
  assert.equal(timeFor(1_000, meter.bytesPerSecond), undefined);
});

Deno.test("a meter that was reset forgets the past", () => {
  const meter = new SpeedMeter();
  meter.add(0, 0);
  meter.add(1_000, 1_000);
  meter.reset();
  meter.add(60_000, 1_000);
  assert.equal(meter.bytesPerSecond, undefined);
  meter.add(61_000, 1_500);
  assert.equal(meter.bytesPerSecond, 500);
});

Deno.test("the time left follows from the speed", () => {
  assert.equal(timeFor(1_000, 500), 2_000);
  assert.equal(timeFor(0, 500), 0);
  assert.equal(timeFor(1_000, undefined), undefined);
});
