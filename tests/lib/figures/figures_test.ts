import assert from "node:assert/strict";
import { Figures } from "../../../lib/figures/figures.ts";
import { Meter } from "../../../lib/figures/meter.ts";
import { keys } from "../../../lib/kv/keys.ts";
import type { KvLog } from "../../../lib/log/kv_log.ts";
import {
  type Channel,
  channelKeyOf,
  FIGURES_CHANNEL_KEY,
  type Tenant,
} from "../../../lib/shared/channel.ts";
import type { Sample } from "../../../lib/shared/figures.ts";
import { ORIGIN, type Position } from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { type LogStore, openEmbedded } from "../../support/log_stores.ts";
import { until } from "../../support/until.ts";
import { FakeClock } from "../../support/clock.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Isolates on one store, with a clock that the test moves. */
class Isolates implements AsyncDisposable {
  readonly clock: FakeClock;
  readonly store: LogStore;
  readonly #all: Figures[] = [];
  /** Calls of the store and of the logs that have not resolved. */
  #underWay = 0;

  private constructor(store: LogStore) {
    this.store = store;
    this.clock = new FakeClock({ start: Date.now(), replaces: ["intervals"] });
  }

  static async open(): Promise<Isolates> {
    return new Isolates(await openEmbedded());
  }

  async add(
    { log, ...more }: {
      readonly log?: KvLog;
      readonly isFollowed?: () => boolean;
      readonly now?: () => number;
    } = {},
  ): Promise<Figures & { readonly meter: Meter; readonly errors: readonly unknown[] }> {
    const meter = new Meter();
    const errors: unknown[] = [];
    const figures = new Figures({
      kv: this.#counted(this.store.kv),
      log: this.#counted(log ?? await this.store.isolate()),
      meter,
      gauges: () => ({
        connections: { sse: 0, websocket: 0, longPoll: 0 },
        subscriptions: { live: 0, catchingUp: 0, lag: 0 },
      }),
      isFollowed: () => false,
      onError: (cause) => errors.push(cause),
      now: this.clock.now,
      monotonic: this.clock.now,
      ...more,
    });
    this.#all.push(figures);
    return Object.assign(figures, { meter, errors });
  }

  /** Moves the clock second by second, and waits for the store after each. */
  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(1_000);
      do await new Promise((resolve) => setTimeout(resolve, 0)); while (this.#underWay > 0);
    }
  }

  #counted<T extends object>(asked: T): T {
    return new Proxy(asked, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          const answer: unknown = value.apply(target, args);
          if (!(answer instanceof Promise)) return answer;
          this.#underWay++;
          return answer.finally(() => this.#underWay--);
        };
      },
    });
  }

  async stored(): Promise<readonly Sample[]> {
    const log = await this.store.isolate();
    const samples: Sample[] = [];
    for (let after: Position = ORIGIN;;) {
      const { runs } = await log.read(FIGURES_CHANNEL_KEY, after, 1_000);
      const last = runs.at(-1);
      if (last === undefined) return samples;
      after = { epoch: last.epoch, sequence: last.last };
      for (const { data } of runs.flatMap(({ events }) => events)) {
        samples.push(JSON.parse(String(data)));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const figures of this.#all) await figures.close();
    this.clock[Symbol.dispose]();
    await this.store[Symbol.asyncDispose]();
  }
}

async function rows(kv: Deno.Kv): Promise<number> {
  return (await Array.fromAsync(kv.list({ prefix: [] }))).length;
}

Deno.test("nothing is written while the figures are not viewed", async () => {
  await using isolates = await Isolates.open();
  await isolates.add();
  await isolates.add();
  await isolates.pass(200);
  assert.equal(await rows(isolates.store.kv), 0);
});

Deno.test("a viewer gets the last two minutes, then each second", async () => {
  await using isolates = await Isolates.open();
  const figures = await isolates.add();
  await isolates.pass(300);
  figures.viewed();
  await until("the first samples are stored", async () => (await isolates.stored()).length >= 120);
  await isolates.pass(2);
  const times = (await isolates.stored()).map(({ at }) => Date.parse(at));
  assert.equal(times.length, 122);
  times.slice(1).forEach((at, i) => assert.equal(at - (times[i] ?? 0), 1_000));
  const log = await isolates.store.isolate();
  assert.deepEqual((await log.head(FIGURES_CHANNEL_KEY))?.retention, { age: 60 * MINUTE });
});

Deno.test("all isolates write if the figures of one are viewed", async () => {
  await using isolates = await Isolates.open();
  const one = await isolates.add();
  await isolates.add();
  await isolates.pass(10);
  one.viewed();
  const writers = async () => new Set((await isolates.stored()).map(({ isolate }) => isolate));
  await until("both write", async () => {
    await isolates.pass(1);
    return (await writers()).size === 2;
  });
});

Deno.test("isolates with different clocks start and stop writing together", async () => {
  for (const difference of [-HOUR, HOUR]) {
    await using isolates = await Isolates.open();
    const one = await isolates.add();
    await isolates.add({ now: () => isolates.clock.now() + difference });
    await isolates.pass(5);
    one.viewed();
    const written = async () => Map.groupBy(await isolates.stored(), ({ isolate }) => isolate);
    await until("both write", async () => {
      await isolates.pass(1);
      return (await written()).size === 2;
    });
    await isolates.pass(620);
    await until("both have stopped", async () => {
      const before = (await isolates.stored()).length;
      await isolates.pass(10);
      return (await isolates.stored()).length === before;
    });
    const counts = [...(await written()).values()].map(({ length }) => length);
    for (const count of counts) assert.ok(count < 650, `${counts}`);
  }
});

Deno.test("writing stops ten minutes after the last view", async () => {
  await using isolates = await Isolates.open();
  const figures = await isolates.add();
  figures.viewed();
  await isolates.pass(610);
  const after = await isolates.stored();
  assert.ok(after.length >= 599, `${after.length}`);
  await isolates.pass(130);
  assert.equal((await isolates.stored()).length, after.length);
  figures.viewed(); // also stores the samples kept since then, and none twice
  await until(
    "samples are written again",
    async () => (await isolates.stored()).length > after.length,
  );
  const times = (await isolates.stored()).map(({ at }) => at);
  assert.equal(new Set(times).size, times.length);
});

Deno.test("writing continues while the figures have a subscriber, with one write of the mark per minute", async () => {
  await using isolates = await Isolates.open();
  let marks = 0;
  const { kv } = isolates.store;
  const set = kv.set.bind(kv);
  kv.set = (key, ...rest) => {
    if (JSON.stringify(key) === JSON.stringify(keys.lease("figures"))) marks++;
    return set(key, ...rest);
  };
  await isolates.add({ isFollowed: () => true });
  await isolates.pass(15 * 60);
  assert.equal(marks, 15);
  const last = (await isolates.stored()).at(-1);
  assert.equal(Date.parse(last?.at ?? ""), isolates.clock.now());
});

Deno.test("samples that could not be stored are stored with the next one", async () => {
  await using isolates = await Isolates.open();
  const log = await isolates.store.isolate();
  const append = log.append.bind(log);
  const figures = await isolates.add({ log });
  figures.viewed();
  await isolates.pass(2);
  log.append = () => Promise.reject(new Problem("storage_unavailable", "The store is away."));
  await isolates.pass(20);
  assert.ok(figures.errors.length > 0);
  log.append = append;
  await isolates.pass(2);
  const times = (await isolates.stored()).map(({ at }) => Date.parse(at));
  assert.equal(times.length, 24);
  times.slice(1).forEach((at, i) => assert.equal(at - (times[i] ?? 0), 1_000));
});

Deno.test("the channel of the figures is not counted", () => {
  const meter = new Meter();
  meter.appended(FIGURES_CHANNEL_KEY, 1);
  meter.stored(FIGURES_CHANNEL_KEY, 1);
  meter.flushed(FIGURES_CHANNEL_KEY, 1, 1);
  meter.caughtUp(FIGURES_CHANNEL_KEY, 1);
  assert.deepEqual(meter.take(), new Meter().take());
});

Deno.test("tenants that are named have counts of their own, and all others share theirs", () => {
  const [acme, globex] = ["acme", "globex"] as Tenant[] as [Tenant, Tenant];
  const meter = new Meter([acme, globex]);
  const news = "news" as Channel;
  meter.appended(channelKeyOf(acme, news), 1);
  meter.stored(channelKeyOf(acme, news), 3);
  meter.flushed(channelKeyOf(acme, news), 6, 1);
  meter.caughtUp(channelKeyOf(acme, news), 2);
  for (const name of ["one", "two"]) meter.appended(channelKeyOf(name as Tenant, news), 1);
  assert.deepEqual(meter.totals().tenants, {
    acme: { publishes: 1, events: 3, deliveries: 8 },
    globex: { publishes: 0, events: 0, deliveries: 0 },
    $other: { publishes: 2, events: 0, deliveries: 0 },
  });
  assert.deepEqual(new Meter().totals().tenants, {});
});
