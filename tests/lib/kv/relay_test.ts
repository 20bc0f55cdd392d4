import assert from "node:assert/strict";
import fc from "fast-check";
import { BroadcastDoorbell } from "../../../lib/kv/broadcast_doorbell.ts";
import { type JournalRow, shardOf } from "../../../lib/kv/journal_row.ts";
import { keys } from "../../../lib/kv/keys.ts";
import { EphemeralWriter } from "../../../lib/kv/ephemeral_writer.ts";
import { WatchDoorbell } from "../../../lib/kv/watch_doorbell.ts";
import type { ChannelKey } from "../../../lib/shared/channel.ts";
import type { EphemeralEvent, Relay } from "../../../lib/shared/ephemeral.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { Denokv, DENOKV_MISSING } from "../../support/denokv.ts";
import { testChannelKey } from "../../support/drafts.ts";
import { FakeClock } from "../../support/clock.ts";
import { until } from "../../support/until.ts";
import { watchedKv } from "../../support/watched_kv.ts";
import "../../support/open_broadcast_channel.ts";

const A = testChannelKey("a");
const CHANNELS = ["a", "b", "c", "d"].map(testChannelKey);
const ISOLATES = 3;

interface Kind {
  readonly name: string;
  readonly ignore: boolean;
  /** Opens the relays of several isolates on one store. */
  open(stack: AsyncDisposableStack, isolates: number): Promise<readonly Relay[]>;
}

const KINDS: readonly Kind[] = [
  { name: "one process", ignore: false, open: openBroadcast },
  { name: "shared memory", ignore: false, open: openMemory },
  { name: "denokv", ignore: DENOKV_MISSING, open: openDenokv },
];

/** In each round events are relayed, and then subscribers join. */
const rounds = fc.array(
  fc.record({
    sends: fc.array(
      fc.record({ from: fc.nat(ISOLATES - 1), to: fc.nat(CHANNELS.length - 1) }),
      { maxLength: 30 },
    ),
    joins: fc.array(
      fc.record({ isolate: fc.nat(ISOLATES - 1), channel: fc.nat(CHANNELS.length - 1) }),
      { maxLength: 3 },
    ),
  }),
  { minLength: 1, maxLength: 5 },
);

for (const { name, ignore, open } of KINDS) {
  const test = (behaviour: string, body: (relays: readonly Relay[]) => Promise<void>) =>
    Deno.test(`${behaviour} (${name})`, { ignore }, async () => {
      await using stack = new AsyncDisposableStack();
      await body(await open(stack, ISOLATES));
    });

  test("each subscriber receives each event of its channel once, in order, and no others", (relays) =>
    fc.assert(
      fc.asyncProperty(rounds, async (rounds) => {
        using stack = new DisposableStack();
        const subscribers: Subscriber[] = [];
        const join = async (isolate: number, channel: number) => {
          const subscriber = stack.use(new Subscriber(relays, isolate, channel));
          await subscriber.ready(relays);
          subscribers.push(subscriber);
        };
        // A subscriber for each channel of each isolate, so that all events can be waited for.
        for (let i = 0; i < ISOLATES; i++) {
          for (let c = 0; c < CHANNELS.length; c++) await join(i, c);
        }
        let number = 0;
        for (const { sends, joins } of rounds) {
          for (const { from, to } of sends) {
            const event = ephemeralEvent(++number);
            relays[from]?.relay(CHANNELS[to] ?? A, event);
            for (const one of subscribers) one.expect(from, to, event.data);
          }
          await until("all have arrived", () => subscribers.every((one) => one.hasAll));
          for (const { isolate, channel } of joins) await join(isolate, channel);
        }
        for (const one of subscribers) one.check();
      }),
      { numRuns: name === "one process" ? 25 : 8 },
    ));

  test("a subscriber that unsubscribes receives no more events", async (relays) => {
    const [here, there] = relays as [Relay, Relay];
    const [gone, stays] = [new Inbox(), new Inbox()];
    const subscription = there.subscribe(A, gone.receive);
    using _stays = there.subscribe(A, stays.receive);
    await sendUntil(here, A, () => gone.count > 0 && stays.count > 0);
    subscription[Symbol.dispose]();
    const { count } = gone;
    const { count: before } = stays;
    await sendUntil(here, A, () => stays.count > before);
    assert.equal(gone.count, count);
  });

  test("an event of 16,384 bytes arrives unchanged", async (relays) => {
    const [here, there] = relays as [Relay, Relay];
    const inbox = new Inbox();
    using _subscription = there.subscribe(A, inbox.receive);
    await sendUntil(here, A, () => inbox.count > 0);
    const data = JSON.stringify(`${"x".repeat(16_379)}é`);
    const event = { type: "ü".repeat(128), time: Date.now(), contentType: "text/plain", data };
    here.relay(A, event);
    await until("it has arrived", () => inbox.last?.data === data);
    assert.deepEqual(inbox.last, event);
  });
}

Deno.test("the events of a commit that the client sends twice arrive once", async () => {
  await using stack = new AsyncDisposableStack();
  const kv = stack.adopt(await Deno.openKv(":memory:"), (kv) => kv.close());
  const there = doorbell(stack, kv);
  const here = doorbell(stack, committingTwice(kv));
  const inbox = new Inbox();
  using _subscription = there.subscribe(A, inbox.receive);
  await sendUntil(here, A, () => inbox.count > 0);
  for (let i = 0; i < 20; i++) {
    here.relay(A, ephemeralEvent(i));
    await until("it has arrived", () => inbox.last?.data === `${i}`);
  }
  const numbers = inbox.events.map(({ data }) => data).filter((data) => data !== "warm");
  assert.deepEqual(numbers, Array.from({ length: 20 }, (_, i) => `${i}`));
});

Deno.test("an event arrives after a long pause", async () => {
  await using stack = new AsyncDisposableStack();
  const { here, inbox } = await openPair(stack);
  using clock = new FakeClock({ start: Date.now(), replaces: ["Date"] });
  clock.advance(31_000);
  here.relay(A, ephemeralEvent("after a silence"));
  await until("it has arrived", () => inbox.last?.data === "after a silence");
});

for (const ahead of [-3_600_000, 0, 3_600_000]) {
  Deno.test(`a delayed event is dropped, with a clock ${ahead} ms ahead`, async () => {
    await using stack = new AsyncDisposableStack();
    const { kv, inbox } = await openPair(stack);
    for (const [turn, late] of [[1, 0], [2, 60_000], [3, 0], [4, 15_000]] as const) {
      const event = ephemeralEvent(turn, Date.now() + ahead - late);
      await writeRow(kv, {
        by: "another",
        addresses: [],
        turn,
        notes: [{ address: A, event }],
      });
    }
    // A warm-up event of the other writer may come after it.
    await until("the last has arrived", () => inbox.events.some(({ data }) => data === "4"));
    const received = inbox.events.map(({ data }) => data).filter((data) => data !== "warm");
    assert.deepEqual(received, ["1", "3", "4"]);
  });
}

Deno.test("the events of an isolate whose clock was set back arrive", async () => {
  await using stack = new AsyncDisposableStack();
  const { here, inbox } = await openPair(stack);
  using clock = new FakeClock({ start: Date.now(), replaces: ["Date"] });
  clock.advance(-3_600_000);
  await sendUntil(here, A, () => (inbox.last?.time ?? Infinity) <= Date.now());
});

Deno.test("the first subscriber of a shard receives no earlier events", async () => {
  await using stack = new AsyncDisposableStack();
  const kv = stack.adopt(await Deno.openKv(":memory:"), (kv) => kv.close());
  const [here, there] = [doorbell(stack, kv), doorbell(stack, kv)];
  const early = new Inbox();
  const subscription = there.subscribe(A, early.receive);
  await sendUntil(here, A, () => early.count > 0);
  subscription[Symbol.dispose]();
  // From here on only a channel of another shard has a subscriber, and only its shard is watched.
  const other = CHANNELS.find((channel) => shardOf(channel) !== shardOf(A)) ?? assert.fail();
  const elsewhere = new Inbox();
  using _elsewhere = there.subscribe(other, elsewhere.receive);
  await sendUntil(here, other, () => elsewhere.count > 0);
  for (let i = 0; i < 5; i++) here.relay(A, ephemeralEvent("before"));
  here.relay(other, ephemeralEvent("last before"));
  await until("all events are written", () => elsewhere.last?.data === "last before");
  const late = new Inbox();
  using _late = there.subscribe(A, late.receive);
  await sendUntil(here, A, () => late.count > 0);
  assert.ok(late.events.every(({ data }) => data === "warm"));
});

Deno.test("a journal without subscribers is not read", async () => {
  await using stack = new AsyncDisposableStack();
  const kv = stack.adopt(await Deno.openKv(":memory:"), (kv) => kv.close());
  let reads = 0;
  const counted = watchedKv(kv, (name) => name === "list" && reads++);
  const [here, there, other] = [doorbell(stack, kv), doorbell(stack, counted), doorbell(stack, kv)];
  const early = new Inbox();
  const subscription = there.subscribe(A, early.receive);
  await sendUntil(here, A, () => early.count > 0);
  const inbox = new Inbox();
  using _subscription = other.subscribe(A, inbox.receive);
  await sendUntil(here, A, () => inbox.count > 0);
  subscription[Symbol.dispose]();
  let unread = 0;
  await until("20 events in a row arrive without a read", async () => {
    const [received, before] = [inbox.count, reads];
    here.relay(A, ephemeralEvent("unread"));
    await until("it has arrived", () => inbox.count > received);
    unread = reads === before ? unread + 1 : 0;
    return unread === 20;
  });
});

Deno.test("rows of events are deleted after 10 s", async () => {
  await using stack = new AsyncDisposableStack();
  const kv = stack.adopt(await Deno.openKv(":memory:"), (kv) => kv.close());
  const writer = stack.adopt(new EphemeralWriter(kv, "here"), (writer) => writer.close());
  const clock = stack.use(new FakeClock({ replaces: ["timeouts", "performance"] }));
  /** Waits for `count` rows and for the timers that the writer sets when it has written them. */
  const have = async (count: number, timers: number) => {
    for (const start = Date.now(); Date.now() - start < 60_000;) {
      const rows = await Array.fromAsync(kv.list({ prefix: ["changed"] }));
      if (rows.length === count && clock.timers === timers) return;
    }
    assert.fail(`there never were ${count} rows and ${timers} timers`);
  };
  writer.write(A, ephemeralEvent(1));
  await have(1, 2); // to delete the row, and before the next commit
  clock.advance(5_000);
  writer.write(A, ephemeralEvent(2));
  await have(2, 2);
  clock.advance(5_000);
  await have(1, 1);
  clock.advance(5_000);
  await have(0, 0);
});

Deno.test("events that wait for the store are limited, and more are refused", async () => {
  await using stack = new AsyncDisposableStack();
  const kv = stack.adopt(await Deno.openKv(":memory:"), (kv) => kv.close());
  const store = heldUp(kv);
  const here = doorbell(stack, store.kv);
  const event = ephemeralEvent("x".repeat(16_000));
  let sent = 0;
  assert.throws(
    () => {
      for (; sent < 1_000; sent++) here.relay(A, event);
    },
    { code: "overloaded" },
  );
  assert.ok(sent > 20 && sent < 70, `${sent}`);
  const inbox = new Inbox();
  const there = doorbell(stack, kv);
  using _subscription = there.subscribe(A, inbox.receive);
  store.release();
  await until("there is room again", () => {
    try {
      here.relay(A, ephemeralEvent("room"));
      return true;
    } catch {
      return false;
    }
  });
  await until("it works again", () => inbox.last?.data === "room");
});

/** Records the events that it receives. */
class Inbox {
  readonly events: EphemeralEvent[] = [];
  readonly receive = (event: EphemeralEvent) => void this.events.push(event);

  get count(): number {
    return this.events.length;
  }

  get last(): EphemeralEvent | undefined {
    return this.events.at(-1);
  }
}

/** A subscriber, and the events of each isolate that it must receive, in their order. */
class Subscriber implements Disposable {
  readonly #inbox = new Inbox();
  readonly #subscription: Disposable;
  readonly #expected: string[][] = Array.from({ length: ISOLATES }, () => []);

  constructor(relays: readonly Relay[], readonly isolate: number, readonly channel: number) {
    this.#subscription = relays[isolate]?.subscribe(CHANNELS[channel] ?? A, this.#inbox.receive) ??
      assert.fail();
  }

  async ready(relays: readonly Relay[]): Promise<void> {
    const sender = relays[(this.isolate + 1) % ISOLATES] ?? assert.fail();
    await sendUntil(sender, CHANNELS[this.channel] ?? A, () => this.#inbox.count > 0);
  }

  expect(from: number, to: number, data: string): void {
    if (to === this.channel && from !== this.isolate) this.#expected[from]?.push(data);
  }

  get hasAll(): boolean {
    const count = this.#expected.reduce((sum, one) => sum + one.length, 0);
    return this.#numbers().length >= count;
  }

  check(): void {
    const numbers = this.#numbers();
    for (const expected of this.#expected) {
      assert.deepEqual(numbers.filter((data) => expected.includes(data)), expected);
    }
    assert.equal(numbers.length, this.#expected.flat().length);
  }

  #numbers(): readonly string[] {
    return this.#inbox.events.map(({ data }) => data).filter((data) => data !== "warm");
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}

function ephemeralEvent(data: unknown, time = Date.now()): EphemeralEvent {
  return { type: "message", time, contentType: "text/plain", data: `${data}` };
}

/**
 * Relays events until one has arrived. A new subscriber receives nothing before its watch has
 * started.
 */
async function sendUntil(relay: Relay, to: ChannelKey, hasArrived: () => boolean): Promise<void> {
  await until("an event has arrived", () => {
    if (hasArrived()) return true;
    try {
      relay.relay(to, ephemeralEvent("warm"));
    } catch (cause) {
      if (!(cause instanceof Problem) || cause.code !== "overloaded") throw cause;
    }
    return false;
  });
}

function openBroadcast(stack: AsyncDisposableStack, isolates: number): Promise<readonly Relay[]> {
  const store = crypto.randomUUID();
  return Promise.resolve(Array.from({ length: isolates }, () => {
    return stack.adopt(new BroadcastDoorbell(store), (doorbell) => doorbell.close());
  }));
}

async function openMemory(
  stack: AsyncDisposableStack,
  isolates: number,
): Promise<readonly Relay[]> {
  const kv = stack.adopt(await Deno.openKv(":memory:"), (kv) => kv.close());
  return Array.from({ length: isolates }, () => doorbell(stack, kv));
}

async function openDenokv(
  stack: AsyncDisposableStack,
  isolates: number,
): Promise<readonly Relay[]> {
  const server = stack.use(await Denokv.start());
  const open = async () => stack.adopt(await server.openKv(), (kv) => kv.close());
  const relays: Relay[] = [];
  for (let i = 0; i < isolates; i++) relays.push(doorbell(stack, await open(), await open()));
  return relays;
}

function doorbell(stack: AsyncDisposableStack, kv: Deno.Kv, watchKv = kv): WatchDoorbell {
  return stack.adopt(new WatchDoorbell(kv, watchKv), (doorbell) => doorbell.close());
}

/** Opens two doorbells on one store. The inbox receives what the first one relays. */
async function openPair(stack: AsyncDisposableStack) {
  const kv = stack.adopt(await Deno.openKv(":memory:"), (kv) => kv.close());
  const [here, there] = [doorbell(stack, kv), doorbell(stack, kv)];
  const inbox = new Inbox();
  stack.use(there.subscribe(A, inbox.receive));
  await sendUntil(here, A, () => inbox.count > 0);
  return { kv, here, inbox };
}

/** Commits twice, like the KV Connect client when an answer is lost. */
function committingTwice(kv: Deno.Kv): Deno.Kv {
  return withCommit(kv, async (commit) => {
    await commit();
    return await commit();
  });
}

/** Holds commits back until it is released. */
function heldUp(kv: Deno.Kv): { readonly kv: Deno.Kv; release(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    kv: withCommit(kv, async (commit) => {
      await promise;
      return await commit();
    }),
    release: resolve,
  };
}

type Commit = Deno.AtomicOperation["commit"];

function withCommit(
  kv: Deno.Kv,
  around: (commit: Commit) => ReturnType<Commit>,
): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      if (name === "atomic") {
        return () => {
          const atomic = target.atomic();
          const commit = atomic.commit.bind(atomic);
          atomic.commit = () => around(commit);
          return atomic;
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function writeRow(kv: Deno.Kv, row: JournalRow): Promise<void> {
  const shard = shardOf(A);
  await kv.atomic().set(keys.wake(shard), 0)
    .set([...keys.changes(shard), kv.commitVersionstamp()], row).commit();
}
