import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import type { ChannelChange, CommitNews, Doorbell } from "../../../lib/kv/doorbell.ts";
import { KV_CONNECT_TRAITS } from "../../../lib/kv/limits.ts";
import { KvLog } from "../../../lib/log/kv_log.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import type { ChannelKey } from "../../../lib/shared/channel.ts";
import { formatOffset, type Offset, ORIGIN, parseOffset } from "../../../lib/shared/offset.ts";
import { FakeClock } from "../../support/clock.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { KEEP_ALL } from "../../support/log_stores.ts";
import { SimulatedStore } from "../../support/simulated_kv.ts";

const A = testChannelKey("a");

interface World {
  readonly seed: number;
  readonly writers: number;
  /** Appends that each writer has in flight. */
  readonly inFlight: number;
  readonly maxDelayMs: number;
  readonly maxRingMs: number;
  readonly lostRings: number;
  readonly lostAnswers: number;
  readonly deletes: number;
  /** Whether producers repeat some publishes at another writer. */
  readonly repeats: boolean;
  readonly ms: number;
}

interface Append {
  readonly writer: number;
  readonly data: string;
  readonly offset: Offset;
  /** In ms from the start. */
  readonly since: number;
  readonly tookMs: number;
}

interface Outcome {
  /** In the order of their answers. */
  readonly appends: readonly Append[];
  /** Codes of the problems with which appends were answered. */
  readonly refusals: readonly string[];
  /** What the channel has in the end. */
  readonly kept: readonly { readonly offset: Offset; readonly data: string }[];
}

/** Lets several isolates append to one channel all the time, in simulated time. */
async function simulate(world: World): Promise<Outcome> {
  using clock = new FakeClock({ replaces: ["timeouts", "intervals", "performance"] });
  const random = randomFrom(world.seed);
  const store = new SimulatedStore({ clock, random, ...world });
  const bus = new Bus(clock, random, world);
  const logs = Array.from({ length: world.writers }, (_, i) =>
    new KvLog({
      kv: store.open(),
      doorbell: bus.doorbell(`${i}`),
      traits: KV_CONNECT_TRAITS,
      retention: KEEP_ALL,
      safetyPollMs: 0,
      now: clock.now,
      monotonicNow: clock.now,
      random,
    }));
  const appends: Append[] = [];
  const refusals: string[] = [];
  const begin = clock.now();
  const end = begin + world.ms;
  const run = async (writer: number, lane: number) => {
    for (let i = 0; clock.now() < end; i++) {
      const since = clock.now();
      const data = `"${writer} ${lane} ${i}"`;
      const id = `${writer}-${lane}-${i}`;
      try {
        const [appended] = await (logs[writer] as KvLog).append([draft("a", data, { id })]);
        const offset = appended?.offset ?? assert.fail();
        appends.push({ writer, data, offset, since: since - begin, tookMs: clock.now() - since });
        if (!world.repeats || i % 8 !== 0) continue;
        // A producer that repeats a publish elsewhere, because it has not heard of the answer.
        const other = logs[(writer + 1) % logs.length] as KvLog;
        const [repeated] = await other.append([draft("a", data, { id })]);
        const again = parseOffset(repeated?.offset ?? "");
        const first = parseOffset(offset);
        if (again.epoch === first.epoch) assert.equal(again.sequence, first.sequence);
        else {appends.push({
            writer,
            data,
            offset: repeated?.offset ?? offset,
            since: 0,
            tookMs: 0,
          });}
      } catch (cause) {
        if (!(cause instanceof Problem)) throw cause;
        refusals.push(cause.code);
      }
    }
  };
  const deletes = async () => {
    for (let i = 1; i <= world.deletes; i++) {
      await new Promise<void>((resolve) => {
        clock.setTimeout(() => resolve(), world.ms / (world.deletes + 1));
      });
      await (logs[i % logs.length] as KvLog).delete(A).catch((cause) => {
        if (!(cause instanceof Problem)) throw cause;
      });
    }
  };
  const work = Promise.all<unknown>([
    deletes(),
    ...logs.flatMap((_, writer) =>
      Array.from({ length: world.inFlight }, (_, lane) => run(writer, lane))
    ),
  ]);
  await passTime(clock, work);
  const { runs } = await passTime(clock, logs[0]?.read(A, ORIGIN, 1_000_000) ?? assert.fail());
  const kept = runs.flatMap(({ epoch, events }) =>
    events.map(({ sequence, data }) => ({
      offset: formatOffset(epoch, sequence),
      data: String(data),
    }))
  );
  await passTime(clock, Promise.all(logs.map((log) => log.close())));
  return { appends, refusals, kept };
}

/** Lets simulated time pass until `work` is done. */
async function passTime<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => isDone = true);
  done.catch(() => {});
  while (!isDone) {
    await setImmediate();
    if (!isDone) clock.advance(1);
  }
  return await done;
}

/** Carries rings between isolates, late, out of order, and not all of them. */
class Bus {
  readonly #listeners = new Map<string, Map<ChannelKey, Set<(news?: CommitNews) => void>>>();

  constructor(
    readonly clock: FakeClock,
    readonly random: () => number,
    readonly world: World,
  ) {}

  doorbell(by: string): Doorbell {
    const listeners = new Map<ChannelKey, Set<(news?: CommitNews) => void>>();
    this.#listeners.set(by, listeners);
    return {
      prepare() {},
      committed: (changes, versionstamp) => this.#send(by, changes, versionstamp),
      ring: (change) => this.#send(by, [change], ""),
      listen(channelKey, onRing) {
        const all = listeners.get(channelKey) ?? new Set();
        listeners.set(channelKey, all.add(onRing));
        return { [Symbol.dispose]: () => void all.delete(onRing) };
      },
      close: () => Promise.resolve(),
    };
  }

  #send(by: string, changes: readonly ChannelChange[], versionstamp: string | undefined): void {
    for (const [to, listeners] of this.#listeners) {
      if (to === by || this.random() < this.world.lostRings) continue;
      const delayMs = 1 + Math.floor(this.random() * this.world.maxRingMs);
      this.clock.setTimeout(() => {
        for (const { channelKey, head } of changes) {
          const news = versionstamp === undefined ? undefined : { by, versionstamp, head };
          for (const onRing of listeners.get(channelKey) ?? []) onRing(news);
        }
      }, delayMs);
    }
  }
}

/** Returns numbers from 0 to 1 (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function p99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? Infinity;
}

/** Returns the p99 of each writer's appends in ms, once the writers know of each other. */
function p99s({ writers, ms }: World, { appends }: Outcome): number[] {
  const settled = appends.filter(({ since }) => since >= ms / 4);
  return Array.from({ length: writers }, (_, writer) => {
    const own = settled.filter((append) => append.writer === writer);
    return p99(own.map(({ tookMs }) => tookMs));
  });
}

/** Fails if the channel has not exactly what was acknowledged, once and in order. */
function checkLog({ appends, kept }: Outcome): void {
  const data = new Map<string, string>();
  for (const append of appends) {
    assert.equal(data.get(append.offset) ?? append.data, append.data, "one event per offset");
    data.set(append.offset, append.data);
  }
  kept.forEach(({ offset }, i) => assert.equal(parseOffset(offset).sequence, i + 1));
  assert.equal(new Set(kept.map(({ data }) => data)).size, kept.length, "none is stored twice");
  const epoch = kept[0] === undefined ? undefined : parseOffset(kept[0].offset).epoch;
  const byOffset = new Map(kept.map(({ offset, data }) => [offset, data]));
  for (const [offset, value] of data) {
    if (parseOffset(offset as Offset).epoch !== epoch) continue; // deleted since
    assert.equal(byOffset.get(offset as Offset), value);
  }
  const newest = new Map<string, number>(); // per producer
  for (const append of appends) {
    if (append.tookMs === 0 || parseOffset(append.offset).epoch !== epoch) continue;
    const [writer, lane] = append.data.split(" ");
    const { sequence } = parseOffset(append.offset);
    assert.ok(sequence > (newest.get(`${writer} ${lane}`) ?? 0));
    newest.set(`${writer} ${lane}`, sequence);
  }
}

const steady: fc.Arbitrary<World> = fc.record({
  seed: fc.integer(),
  writers: fc.integer({ min: 2, max: 8 }),
  inFlight: fc.integer({ min: 1, max: 8 }),
  maxDelayMs: fc.integer({ min: 1, max: 3 }),
  maxRingMs: fc.integer({ min: 1, max: 4 }),
  lostRings: fc.constant(0),
  lostAnswers: fc.constant(0),
  deletes: fc.constant(0),
  repeats: fc.constant(false),
  ms: fc.constant(2_000),
});

Deno.test("two to eight writers of one channel get the same share, and none is refused", async () => {
  await fc.assert(
    fc.asyncProperty(steady, async (steadyWorld) => {
      // Long enough for a p99: in 2 s, eight writers with one append in flight each make 25.
      const world = { ...steadyWorld, ms: 10_000 };
      const outcome = await simulate(world);
      checkLog(outcome);
      assert.deepEqual(outcome.refusals, []);
      const [fastest = 0, ...others] = p99s(world, outcome).toSorted((a, b) => a - b);
      const slowest = others.at(-1) ?? Infinity;
      assert.ok(slowest <= 2 * fastest, `p99 ${fastest} ms and ${slowest} ms`);
    }),
    { numRuns: 20 },
  );
});

Deno.test("with rings and answers that are lost, nobody starves, and nothing is lost, repeated or reordered", async () => {
  const faulty = fc.tuple(steady, fc.double({ min: 0, max: 0.3, noNaN: true }), fc.nat(3)).map(
    ([world, lostRings, deletes]): World => ({
      ...world,
      repeats: true,
      lostRings,
      deletes,
      lostAnswers: 0.02,
    }),
  );
  await fc.assert(
    fc.asyncProperty(faulty, async (world) => {
      const outcome = await simulate(world);
      checkLog(outcome);
      assert.ok(!outcome.refusals.includes("contended"));
      for (const worst of p99s(world, outcome)) assert.ok(worst < 4_500, `a p99 of ${worst} ms`);
    }),
    { numRuns: 20 },
  );
});

Deno.test("without any rings two writers still take turns, and more lose nothing", async () => {
  const deaf = steady.map((world): World => ({ ...world, lostRings: 1, repeats: true }));
  await fc.assert(
    fc.asyncProperty(deaf, async (world) => {
      const outcome = await simulate(world);
      checkLog(outcome);
      if (world.writers > 2) return;
      assert.deepEqual(outcome.refusals, []);
      for (const worst of p99s(world, outcome)) assert.ok(worst < 500, `a p99 of ${worst} ms`);
    }),
    { numRuns: 20 },
  );
});
