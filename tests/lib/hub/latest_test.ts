import assert from "node:assert/strict";
import { Hub } from "../../../lib/hub/hub.ts";
import type { Subscription } from "../../../lib/hub/subscription.ts";
import type { Doorbell } from "../../../lib/kv/doorbell.ts";
import type { Log } from "../../../lib/log/log.ts";
import { offsetOf } from "../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { overridingKv } from "../../support/failing_kv.ts";
import { FakeSink } from "../../support/fake_sink.ts";
import { type LogStore, openEmbedded, type StoreKind, STORES } from "../../support/log_stores.ts";
import { SILENT_DOORBELL } from "../../support/silent_doorbell.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");

for (const kind of STORES) testLatest(kind);

function testLatest({ name, ignore, open }: StoreKind): void {
  test("a subscription at the latest event is behind all that other isolates have stored", async (fixture) => {
    const { hub, other } = fixture;
    const follower = await subscribe(hub); // the hub follows the channel from now on
    for (let round = 0; round < 3; round++) {
      const last = (await other.append([draft("a", `before ${round}`)])).at(-1);
      const { sink, subscription } = await subscribe(hub);
      assert.equal(offsetOf(subscription.position), last?.offset);
      await other.append([draft("a", `after ${round}`)]);
      fixture.ring();
      await until("the next event has arrived", () => sink.events.length > 0);
      assert.equal(sink.events[0]?.event.data, `after ${round}`);
    }
    await until("the first one has all events", () => follower.sink.events.length === 6);
  });

  test("a subscription misses nothing that is stored after its start, before the doorbell rings", async (fixture) => {
    const { hub, other } = fixture;
    await subscribe(hub);
    await other.append([draft("a", "before")]);
    const sinks = await Promise.all(Array.from({ length: 10 }, async () => {
      const { sink } = await subscribe(hub);
      await other.append([draft("a", "after")]);
      return sink;
    }));
    fixture.ring();
    await until(
      "all have the last event",
      () => sinks.every(({ position }) => position.sequence === 11),
    );
  });

  test("the latest event of a channel that another isolate has deleted is before its next one", async (fixture) => {
    const { hub, other } = fixture;
    await other.append([draft("a", "deleted")]);
    await subscribe(hub);
    await other.delete(A);
    const { sink, subscription } = await subscribe(hub);
    assert.deepEqual(subscription.position, await hub.earliest(A));
    await other.append([draft("a", "recreated")]);
    fixture.ring();
    await until("the next event has arrived", () => sink.events.length > 0);
    assert.deepEqual([sink.events[0]?.event.data, sink.gaps], ["recreated", 0]);
  });

  function test(behaviour: string, body: (fixture: Fixture) => Promise<void>): void {
    Deno.test(`${behaviour} (${name})`, { ignore }, async () => {
      await using store = await open();
      const fixture = await openFixture(store);
      await body(fixture);
      await fixture.hub.close();
    });
  }
}

Deno.test("1,000 subscribers at the latest event that come at once cost about one read", async () => {
  await using store = await openEmbedded();
  const { kv, reads } = countReads(store.kv);
  const log = await store.isolate({ kv });
  await log.append([draft("a", "1")]);
  const hub = new Hub({ log });
  for (let round = 0; round < 2; round++) {
    const before = reads();
    const all = await Promise.all(Array.from({ length: 1_000 }, () => subscribe(hub)));
    assert.ok(all.every(({ subscription }) => subscription.position.sequence === 1));
    assert.ok(reads() - before <= 2, `${reads() - before} reads`);
  }
  await hub.close();
});

interface Fixture {
  /** A hub that learns of the other isolate's events only from {@link ring}. */
  readonly hub: Hub;
  readonly other: Log;
  readonly ring: () => void;
}

async function openFixture(store: LogStore): Promise<Fixture> {
  const listeners = new Set<() => void>();
  const doorbell: Doorbell = {
    ...SILENT_DOORBELL,
    listen(_, onRing) {
      listeners.add(onRing);
      return { [Symbol.dispose]: () => void listeners.delete(onRing) };
    },
  };
  return {
    hub: new Hub({ log: await store.isolate({ doorbell }) }),
    other: await store.isolate(),
    ring() {
      for (const onRing of listeners) onRing();
    },
  };
}

async function subscribe(
  hub: Hub,
): Promise<{ readonly sink: FakeSink; readonly subscription: Subscription }> {
  const sink = new FakeSink(Infinity);
  const subscription = await hub.subscribe(A, "latest", sink);
  sink.startAt(subscription.position);
  subscription.start();
  return { sink, subscription };
}

/** Returns `kv`, and how many reads of rows it has had. */
function countReads(kv: Deno.Kv): { readonly kv: Deno.Kv; readonly reads: () => number } {
  let count = 0;
  const counted = overridingKv(kv, {
    get: (...args: Parameters<Deno.Kv["get"]>) => {
      count++;
      return kv.get(...args);
    },
    getMany: (...args: Parameters<Deno.Kv["getMany"]>) => {
      count++;
      return kv.getMany(...args);
    },
  });
  return { kv: counted, reads: () => count };
}
