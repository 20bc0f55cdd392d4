import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { DeliveryClock, type Gathered } from "../../../lib/hub/delivery_clock.ts";
import { until } from "../../support/until.ts";

const MANY = 100;

/** A clock with a time of its own, and what it has delivered. */
function world() {
  let now = 0;
  const clock = new DeliveryClock(() => now);
  const delivered: string[] = [];
  /** A channel whose deliveries take `ms`. */
  const channel = (name: string, subscribers: number, ms = 0): Gathered => ({
    subscribers,
    deliver() {
      now += ms;
      delivered.push(name);
    },
  });
  return { clock, delivered, channel, pass: (ms: number) => now += ms };
}

Deno.test("DeliveryClock spreads long deliveries over turns of the event loop, in their order", async () => {
  const { clock, delivered, channel } = world();
  using _ = clock;
  const channels = [0, 1, 2, 3, 4, 5].map((i) => channel(String(i), 1, 5));
  for (const each of channels) clock.add(each);
  assert.deepEqual(delivered, []);
  const seen: number[] = [];
  while (delivered.length < 6) {
    await setImmediate();
    seen.push(delivered.length);
  }
  assert.deepEqual(seen, [2, 4, 6]);
  assert.deepEqual(delivered, ["0", "1", "2", "3", "4", "5"]);
});

Deno.test("DeliveryClock delivers once what was added several times", async () => {
  const { clock, delivered, channel } = world();
  using _ = clock;
  const [small, large] = [channel("small", 1), channel("large", MANY)];
  for (const each of [small, large, small, large]) clock.add(each);
  await setImmediate();
  assert.deepEqual(delivered, ["small", "large"]);
});

Deno.test("a large delivery waits a turn of the event loop for each two subscribers of the last", async () => {
  const { clock, delivered, channel } = world();
  using _ = clock;
  const large = channel("large", MANY);
  clock.add(large);
  await setImmediate();
  clock.add(large);
  let turns = 0;
  for (; delivered.length < 2; turns++) await setImmediate();
  assert.ok(turns >= MANY / 2 && turns <= MANY / 2 + 4, `${turns} turns`);
});

Deno.test("large deliveries that took long are followed by a rest, in which small ones continue", async () => {
  const { clock, delivered, channel } = world();
  using _ = clock;
  const [small, large] = [channel("small", 1), channel("large", MANY, 40)];
  clock.add(large);
  await setImmediate();
  assert.deepEqual(delivered, ["large"]);
  clock.add(large);
  const start = performance.now();
  // More turns than the writes take: what still waits is in its rest.
  for (let turn = 0; turn < MANY; turn++) {
    clock.add(small);
    await setImmediate();
  }
  const smalls = delivered.filter((name) => name === "small").length;
  assert.equal(smalls, MANY, "no small delivery waits");
  await until("the rest is over", () => delivered.filter((name) => name === "large").length === 2);
  assert.ok(performance.now() - start >= 19, "half of 40 ms");
});

Deno.test("a delivery that was quick is followed by no rest", async () => {
  const { clock, delivered, channel } = world();
  using _ = clock;
  const large = channel("large", MANY, 1);
  for (let deliveries = 1; deliveries <= 3; deliveries++) {
    clock.add(large);
    for (let turn = 0; turn < MANY && delivered.length < deliveries; turn++) await setImmediate();
    assert.equal(delivered.length, deliveries, "by turns alone");
  }
});

Deno.test("a stopped clock delivers nothing and leaves no timer", async () => {
  const { clock, delivered, channel } = world();
  const large = channel("large", MANY, 40);
  clock.add(large);
  await setImmediate();
  clock.add(large);
  clock.add(channel("small", 1));
  clock[Symbol.dispose]();
  for (let turn = 0; turn < MANY; turn++) await setImmediate();
  assert.deepEqual(delivered, ["large"]);
});

Deno.test("DeliveryClock delivers everything that is added, at any time", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          subscribers: fc.constantFrom(0, 1, 16, 17, 40),
          ms: fc.constantFrom(0, 1, 3, 12),
          turnsBefore: fc.nat({ max: 3 }),
        }),
        { maxLength: 12 },
      ),
      async (adds) => {
        const { clock, delivered, channel } = world();
        using _ = clock;
        for (const [i, { subscribers, ms, turnsBefore }] of adds.entries()) {
          for (let turn = 0; turn < turnsBefore; turn++) await setImmediate();
          clock.add(channel(String(i), subscribers, ms));
        }
        await until("all is delivered", () => delivered.length === adds.length);
        for (const isSmall of [true, false]) {
          const names = adds.flatMap(({ subscribers }, i) =>
            (subscribers <= 16) === isSmall ? [String(i)] : []
          );
          assert.deepEqual(delivered.filter((name) => names.includes(name)), names, "in order");
        }
      },
    ),
    { numRuns: 60 },
  );
});
