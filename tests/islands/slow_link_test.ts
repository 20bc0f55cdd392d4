import assert from "node:assert/strict";
import { SlowLink } from "../../islands/lab/slow_link.ts";
import { FakeClock } from "../support/clock.ts";

/** One packet takes 1.2 s. */
const BYTES_PER_SECOND = 1_000;
const PACKET_BYTES = 1_200;

class World {
  readonly clock = new FakeClock({ start: 0 });
  readonly link = new SlowLink({ now: this.clock.now, wake: this.clock.setTimeout });
  /** What has passed, and when. */
  readonly passed: (readonly [name: string, at: number])[] = [];

  send(stream: object, name: string, bytes: number): void {
    void this.link.pass(stream, bytes).then(() => this.passed.push([name, this.clock.now()]));
  }
}

Deno.test("a link passes data at its speed, in the order of the stream", async () => {
  const world = new World();
  const stream = {};
  world.link.bytesPerSecond = BYTES_PER_SECOND;
  world.send(stream, "a", 2 * PACKET_BYTES);
  world.send(stream, "b", 100);
  await world.clock.advanceAsync(10_000);
  world.send(stream, "c", 100); // the time without data is lost
  await world.clock.advanceAsync(10_000);
  assert.deepEqual(world.passed, [["a", 2_400], ["b", 2_500], ["c", 10_100]]);
});

Deno.test("streams take turns on a link, so that a small one does not wait for a large one", async () => {
  const world = new World();
  const [a, b] = [{}, {}];
  world.link.bytesPerSecond = BYTES_PER_SECOND;
  world.send(a, "large", 10 * PACKET_BYTES);
  await world.clock.advanceAsync(1);
  world.send(b, "small", 200);
  await world.clock.advanceAsync(20_000);
  assert.deepEqual(world.passed, [["small", 2_600], ["large", 12_200]]);
});

Deno.test("a link without a limit passes data at once, also what had to wait", async () => {
  const world = new World();
  const stream = {};
  world.send(stream, "fast", 1e9);
  await world.clock.advanceAsync(0);
  assert.deepEqual(world.passed, [["fast", 0]]);
  world.link.bytesPerSecond = BYTES_PER_SECOND;
  world.send(stream, "slow", 10 * PACKET_BYTES);
  await world.clock.advanceAsync(100);
  world.link.bytesPerSecond = Infinity;
  world.send(stream, "after", 10);
  await world.clock.advanceAsync(1_100);
  assert.deepEqual(world.passed.slice(1), [["slow", 1_200], ["after", 1_200]]);
});
