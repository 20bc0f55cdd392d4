import assert from "node:assert/strict";
import { CLOSED_PER_TURN, Hub } from "../../../lib/hub/hub.ts";
import { RELEASED_PER_TURN } from "../../../lib/shared/async/linger.ts";
import type { CloseReason } from "../../../lib/hub/sink.ts";
import type { Subscription } from "../../../lib/hub/subscription.ts";
import type { Log } from "../../../lib/log/log.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { FakeSink } from "../../support/fake_sink.ts";
import { upTo } from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { PerTurn } from "../../support/per_turn.ts";
import { until } from "../../support/until.ts";

/** Subscribers, each on a channel of its own. */
const SUBSCRIBERS = 10_000;
/** Subscribers that come, or events that are stored, together. */
const AT_ONCE = 50;

Deno.test("the hub closes 10,000 channels with a subscriber each in many short turns", async () => {
  const world = await openWorld();
  await using _store = world;
  await world.subscribeAll();
  await world.hub.close();
  assert.ok(world.sinks.every(({ closedFor }) => closedFor === "stopping"));
  assert.equal(world.unfollowed, SUBSCRIBERS);
  world.closes.assertAtMost(CLOSED_PER_TURN);
  world.releases.assertAtMost(CLOSED_PER_TURN);
});

Deno.test("10,000 channels whose subscribers leave together are released in short turns", async () => {
  const world = await openWorld();
  await using _store = world;
  const subscriptions = await world.subscribeAll();
  for (const subscription of subscriptions) subscription.close();
  assert.equal(world.hub.size, SUBSCRIBERS);
  await until("no channel is followed", () => world.hub.size === 0);
  await until("all tails are closed", () => world.unfollowed === SUBSCRIBERS);
  world.releases.assertAtMost(RELEASED_PER_TURN);
  await world.hub.close();
});

Deno.test("10,000 channels with events of this isolate cost the store a head each, no read", async () => {
  const world = await openWorld({ safetyPollMs: 500 });
  await using _store = world;
  await world.subscribeAll();
  for (let at = 0; at < SUBSCRIBERS; at += AT_ONCE) {
    await world.log.append(upTo(AT_ONCE).map((i) => draft(`c${at + i}`, "1")));
  }
  await until("all have their event", () => world.sinks.every(({ events }) => events.length === 1));
  const { polled } = world;
  await until("all heads were polled", () => world.polled - polled >= 2 * SUBSCRIBERS);
  assert.equal(world.reads, 0);
  await world.hub.close();
});

/** Counts in which turn it is closed. */
class CountedSink extends FakeSink {
  readonly #closes: PerTurn;

  constructor(closes: PerTurn) {
    super(Infinity);
    this.#closes = closes;
  }

  override close(reason: CloseReason): void {
    this.#closes.count();
    super.close(reason);
  }
}

/** Opens a hub whose log counts what it is asked for. */
async function openWorld({ safetyPollMs = 0 } = {}) {
  const store = await openEmbedded();
  const [closes, releases] = [new PerTurn(), new PerTurn()];
  let [reads, unfollowed, polled] = [0, 0, 0];
  const kv = new Proxy(store.kv, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === "getMany") {
        return (keys: readonly Deno.KvKey[]) => {
          polled += keys.length;
          return target.getMany([...keys]);
        };
      }
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const log = await store.isolate({ kv, safetyPollMs });
  const counted: Log = {
    append: (drafts) => log.append(drafts),
    head: (channelKey) => log.head(channelKey),
    bounds: (channelKey) => log.bounds(channelKey),
    read: (...args) => {
      reads++;
      return log.read(...args);
    },
    readBefore: (...args) => log.readBefore(...args),
    channels: (...args) => log.channels(...args),
    configure: (...args) => log.configure(...args),
    delete: (channelKey) => log.delete(channelKey),
    listen: (...args) => {
      const listening = log.listen(...args);
      return {
        [Symbol.dispose]: () => {
          releases.count();
          unfollowed++;
          listening[Symbol.dispose]();
        },
      };
    },
    retain: () => log.retain(),
    close: () => log.close(),
  };
  const hub = new Hub({ log: counted, lingerMs: 1 });
  const sinks = upTo(SUBSCRIBERS).map(() => new CountedSink(closes));
  const subscribe = async (i: number) => {
    const sink = sinks[i - 1];
    assert.ok(sink !== undefined);
    const subscription = await hub.subscribe(testChannelKey(`c${i}`), "latest", sink);
    sink.startAt(subscription.position);
    subscription.start();
    return subscription;
  };
  return {
    hub,
    log,
    sinks,
    closes,
    releases,
    get reads() {
      return reads;
    },
    get polled() {
      return polled;
    },
    get unfollowed() {
      return unfollowed;
    },
    async subscribeAll(): Promise<readonly Subscription[]> {
      const subscriptions: Subscription[] = [];
      for (let at = 0; at < SUBSCRIBERS; at += AT_ONCE) {
        subscriptions.push(...await Promise.all(upTo(AT_ONCE).map((i) => subscribe(at + i))));
      }
      return subscriptions;
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
