import assert from "node:assert/strict";
import { Goodbyes, type LeavingConnection, NOTICE_MS } from "../../../lib/transports/goodbyes.ts";
import { FakeClock } from "../../support/clock.ts";

const DRAIN_MS = 5_000;

/** A connection that notes when it got its goodbye, and when it was closed. */
class Recorded implements LeavingConnection {
  readonly isLasting = true;
  toldAt: number | undefined;
  reason: string | undefined;
  closedAt: number | undefined;

  constructor(
    readonly now: () => number,
    /** Called after the goodbye. */
    readonly leave: (connection: Recorded) => void = () => {},
  ) {}

  sayGoodbye(reason: string): void {
    assert.equal(this.toldAt, undefined, "told twice");
    this.toldAt = this.now();
    this.reason = reason;
    this.leave(this);
  }

  close(): void {
    assert.equal(this.closedAt, undefined, "closed twice");
    this.closedAt = this.now();
  }
}

interface World extends Disposable {
  readonly clock: FakeClock;
  readonly goodbyes: Goodbyes;
  /** Adds connections that leave when they get their goodbye, unless `stay`. */
  open(count: number, options?: { readonly stay?: boolean }): readonly Recorded[];
}

function makeWorld(maxAgeMs?: number): World {
  const clock = new FakeClock({ start: 0, replaces: ["performance", "timeouts", "intervals"] });
  const goodbyes = new Goodbyes({ maxAgeMs });
  return {
    clock,
    goodbyes,
    open: (count, { stay = false } = {}) =>
      Array.from({ length: count }, () => {
        const leave = stay ? undefined : (own: Recorded) => goodbyes.delete(own);
        const connection = new Recorded(clock.now, leave);
        goodbyes.add(connection);
        return connection;
      }),
    [Symbol.dispose]: () => clock[Symbol.dispose](),
  };
}

/** Lets a drain run to its end, and returns when it ended. */
async function run({ clock, goodbyes }: World, ms = DRAIN_MS): Promise<number> {
  let endedAt: number | undefined;
  const drained = goodbyes.drain(ms).then(() => endedAt = clock.now());
  for (let i = 0; i < 100_000 && endedAt === undefined; i++) await clock.advanceAsync(1);
  await drained;
  return endedAt ?? NaN;
}

Deno.test("a drain says goodbye evenly over its time, to the oldest connections first", async () => {
  using world = makeWorld();
  const connections = world.open(10);
  assert.equal(await run(world), DRAIN_MS);
  assert.deepEqual(
    connections.map(({ toldAt }) => toldAt),
    [250, 750, 1_250, 1_750, 2_250, 2_750, 3_250, 3_750, 4_250, 4_750],
  );
  assert.ok(connections.every(({ reason, closedAt }) => reason === "stopping" && !closedAt));
});

Deno.test("a drain of 10,000 connections has one timer and no bursts", async () => {
  using world = makeWorld();
  const { clock, goodbyes } = world;
  const connections = world.open(10_000);
  void goodbyes.drain(DRAIN_MS);
  let told = 0;
  while (told < connections.length) {
    await clock.advanceAsync(10);
    assert.ok(clock.timers <= 1, `${clock.timers} timers`);
    const now = connections.filter(({ toldAt }) => toldAt !== undefined).length;
    assert.ok(now - told <= 30, `${now - told} goodbyes in 10 ms`);
    told = now;
  }
  assert.ok(clock.now() <= DRAIN_MS + 10);
});

Deno.test("a drain without connections takes its time too: requests are answered meanwhile", async () => {
  using world = makeWorld();
  assert.equal(await run(world), DRAIN_MS);
});

Deno.test("a connection that ends by itself gets no goodbye, and the others keep their times", async () => {
  using world = makeWorld();
  const connections = world.open(4);
  const drained = world.goodbyes.drain(4_000);
  await world.clock.advanceAsync(600);
  world.goodbyes.delete(connections[1]!); // one of four
  await world.clock.advanceAsync(3_400);
  await drained;
  assert.deepEqual(connections.map(({ toldAt }) => toldAt), [500, undefined, 1_500, 2_500]);
});

Deno.test("a connection whose client stays is closed after its notice, and the drain waits for it", async () => {
  using world = makeWorld();
  const connections = world.open(2, { stay: true });
  assert.equal(await run(world, 1_000), 750 + NOTICE_MS);
  assert.deepEqual(connections.map(({ toldAt }) => toldAt), [250, 750]);
  assert.deepEqual(connections.map(({ closedAt }) => closedAt), [250 + NOTICE_MS, 750 + NOTICE_MS]);
});

Deno.test("a connection that opens during a drain gets its goodbye at the end", async () => {
  using world = makeWorld();
  world.open(2);
  const ended = run(world, 1_000);
  await world.clock.advanceAsync(600);
  const [late] = world.open(1);
  assert.equal(await ended, 1_000);
  assert.equal(late?.toldAt, 1_000);
});

Deno.test("close() ends a drain, and closes the connections that are left", async () => {
  using world = makeWorld();
  const connections = world.open(4, { stay: true });
  const drained = world.goodbyes.drain(4_000);
  await world.clock.advanceAsync(600);
  await world.goodbyes.close();
  await drained;
  assert.deepEqual(connections.map(({ toldAt }) => toldAt), [500, ...Array(3)]);
  assert.deepEqual(connections.map(({ closedAt }) => closedAt), Array(4).fill(600));
  assert.equal(world.goodbyes.size, 0);
  assert.equal(world.clock.timers, 0);
});

const HOUR_MS = 3_600_000;

Deno.test("connections that open together are rotated at random ages, each once, by one timer", async () => {
  using world = makeWorld(HOUR_MS);
  const connections = world.open(1_000);
  assert.equal(world.clock.timers, 1);
  await world.clock.advanceAsync(0.75 * HOUR_MS - 1);
  assert.ok(connections.every(({ toldAt }) => toldAt === undefined));
  await world.clock.advanceAsync(HOUR_MS / 4 + 2_000);
  assert.ok(connections.every(({ reason }) => reason === "rotate"));
  const ages = connections.map(({ toldAt = NaN }) => Math.floor((toldAt - 1_000) / (HOUR_MS / 40)));
  for (let part = 30; part < 40; part++) {
    const count = ages.filter((age) => age === part).length;
    assert.ok(count > 40 && count < 170, `${count} of 1,000 in a tenth of the time`);
  }
  assert.equal(world.clock.timers, 0);
});

Deno.test("what does not last is not rotated, and a drain ends rotation", async () => {
  using world = makeWorld(HOUR_MS);
  const poll = { isLasting: false, sayGoodbye: () => assert.fail("rotated"), close() {} };
  world.goodbyes.add(poll);
  assert.equal(world.clock.timers, 0);
  const [old] = world.open(1);
  await world.clock.advanceAsync(0.7 * HOUR_MS);
  world.goodbyes.delete(poll);
  await run(world);
  assert.equal(old?.reason, "stopping");
  assert.equal(world.clock.timers, 0);
});
