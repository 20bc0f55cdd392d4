import assert from "node:assert/strict";
import fc from "fast-check";
import { Hub } from "../../../lib/hub/hub.ts";
import type { Subscription } from "../../../lib/hub/subscription.ts";
import type { Log } from "../../../lib/log/log.ts";
import { ORIGIN, parseOffset } from "../../../lib/shared/offset.ts";
import { WatchDoorbell } from "../../../lib/kv/watch_doorbell.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { FakeSink } from "../../support/fake_sink.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { until } from "../../support/until.ts";
import { type Fate, unreliableWatch } from "../../support/unreliable_watch.ts";

const A = testChannelKey("a");

const step = fc.oneof(
  { weight: 6, arbitrary: append() },
  { weight: 3, arbitrary: subscribe() },
  { weight: 4, arbitrary: drain() },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave"), member: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete"), isOwn: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("retain"), keep: fc.integer({ min: 1, max: 30 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("turn"), turns: fc.integer({ min: 1, max: 5 }) }),
  },
);

function append() {
  return fc.record({
    do: fc.constant("append"),
    isOwn: fc.boolean(),
    events: fc.integer({ min: 1, max: 12 }),
    isAwaited: fc.boolean(),
    // Small commits are carried by the doorbell; large data is stored in chunks.
    dataLength: fc.constantFrom(1, 1, 1, 700, 60_000),
  });
}

function subscribe() {
  return fc.record({
    do: fc.constant("subscribe"),
    after: fc.oneof(fc.constant("earliest"), fc.constant("latest"), fc.nat()),
    room: fc.integer({ min: 1, max: 20 }),
    // With many, runs are cut into pieces of a few events.
    eventBytes: fc.constantFrom(64, 50_000, 200_000),
  });
}

function drain() {
  return fc.record({
    do: fc.constant("drain"),
    member: fc.nat(),
    room: fc.integer({ min: 1, max: 20 }),
  });
}

Deno.test("every subscriber gets each event once and in order, or a gap", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.nat(64 * 1024),
      async (steps, cacheBytes) => {
        await using store = await openEmbedded();
        const [own, foreign] = [await store.isolate(), await store.isolate()];
        const hub = new Hub({ log: own, cacheBytes, lingerMs: 1 });
        await runModel(hub, own, foreign, steps);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("the same while wakes of the store's doorbell are lost, repeated and late", async () => {
  const fates = fc.array(fc.constantFrom<Fate[]>("passed", "passed", "lost", "repeated", "late"), {
    minLength: 1,
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fates,
      async (steps, fates) => {
        await using store = await openEmbedded();
        const isolate = () =>
          store.isolate({
            doorbell: new WatchDoorbell(store.kv, unreliableWatch(store.kv, fates)),
            safetyPollMs: 20, // finds what the last wakes should have brought
          });
        const [own, foreign] = [await isolate(), await isolate()];
        const hub = new Hub({ log: own, lingerMs: 1 });
        await runModel(hub, own, foreign, steps);
      },
    ),
    { numRuns: 100 },
  );
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Takes the steps, compares the hub with the model, and closes the hub. */
async function runModel(
  hub: Hub,
  own: Log,
  foreign: Log,
  steps: readonly Step[],
): Promise<void> {
  const run = new ModelRun(hub, own, foreign);
  try {
    for (const each of steps) await run.take(each);
    await run.finish();
  } finally {
    await hub.close();
  }
}

/** The hub under test, and a map of all events that were ever acknowledged as its model. */
class ModelRun {
  readonly #hub: Hub;
  readonly #own: Log;
  readonly #foreign: Log;
  /** The data of every event by its offset. */
  readonly #model = new Map<string, string>();
  readonly #members: {
    readonly sink: FakeSink;
    readonly subscription: Subscription;
    /** The offsets of the events that the sink must not receive. */
    readonly earlier: ReadonlySet<string>;
  }[] = [];
  readonly #left = new Set<Subscription>();
  readonly #appends: Promise<void>[] = [];
  #count = 0;

  constructor(hub: Hub, own: Log, foreign: Log) {
    this.#hub = hub;
    this.#own = own;
    this.#foreign = foreign;
  }

  async take(each: Step): Promise<void> {
    if ("events" in each) {
      const appended = this.#append(
        each.isOwn ? this.#own : this.#foreign,
        each.events,
        each.dataLength,
      );
      this.#appends.push(appended);
      if (each.isAwaited) await appended;
    } else if ("after" in each) {
      await this.#subscribe(each);
    } else if ("room" in each) {
      this.#member(each.member)?.sink.drain(each.room);
    } else if ("member" in each) {
      const member = this.#member(each.member);
      if (member === undefined) return;
      member.subscription.close();
      this.#left.add(member.subscription);
    } else if ("isOwn" in each) {
      await Promise.all(this.#appends);
      await (each.isOwn ? this.#own : this.#foreign).delete(A);
    } else if ("keep" in each) {
      await this.#own.configure(A, { events: each.keep });
      await this.#own.retain();
    } else {
      for (let i = 0; i < each.turns; i++) await new Promise((resolve) => setTimeout(resolve));
    }
  }

  /** Makes room in all sinks until they have the last event, and compares. */
  async finish(): Promise<void> {
    await Promise.all(this.#appends);
    await this.#append(this.#foreign, 1);
    const head = await this.#own.head(A);
    const open = this.#members.filter(({ subscription }) => !this.#left.has(subscription));
    for (const { sink } of open) sink.drain(Infinity);
    await until(
      "all sinks have the last event",
      () =>
        open.every(({ sink }) =>
          sink.position.epoch === head?.epoch && sink.position.sequence === head.last
        ),
    );
    for (const { sink, earlier } of this.#members) {
      assert.ok(sink.position);
      assert.ok(!sink.events.some(({ offset }) => earlier.has(offset)));
      assert.equal(sink.overruns, 0);
      assert.equal(sink.closedFor, undefined);
      for (const { offset, event } of sink.events) {
        assert.equal(event.data, this.#model.get(offset));
      }
    }
  }

  #member(index: number) {
    return this.#members[index % this.#members.length];
  }

  async #append(log: Log, events: number, dataLength = 1): Promise<void> {
    const drafts = Array.from(
      { length: events },
      () => draft("a", String(this.#count++).padEnd(dataLength)),
    );
    const appended = await log.append(drafts);
    appended.forEach(({ offset }, i) => this.#model.set(offset, String(drafts[i]?.data)));
  }

  async #subscribe(
    { after, room, eventBytes }: { after: string | number; room: number; eventBytes: number },
  ): Promise<void> {
    const known = [...this.#model.keys()];
    const offset = typeof after === "number" ? known[after % known.length] : undefined;
    const start = after === "latest" || after === "earliest"
      ? after
      : offset === undefined
      ? ORIGIN
      : parseOffset(offset);
    const sink = new FakeSink(room, eventBytes);
    const subscription = await this.#hub.subscribe(A, start, sink);
    sink.startAt(subscription.position);
    this.#members.push({ sink, subscription, earlier: new Set(after === "latest" ? known : []) });
    subscription.start();
  }
}
