import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { FakeClock } from "../../support/clock.ts";
import { problem } from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { memberIn, snapshotOf } from "../../support/presence.ts";
import {
  ann,
  bob,
  changes,
  guarded,
  names,
  openIsolate,
  pass,
  refusing,
  room,
} from "../../support/presence_isolates.ts";
import { openDamaged } from "../../support/unreadable_rows.ts";
import { until } from "../../support/until.ts";

const HOUR = 60 * 60 * 1_000;

for (const isOneMachine of [true, false]) {
  const where = isOneMachine ? "on one machine" : "on several machines";

  Deno.test(`members of a dead isolate leave within 30 s, but not within 10 s (${where})`, async () => {
    // At each time between two renewals.
    for (let age = 0; age <= 6; age++) {
      await using store = await openEmbedded();
      const clock = new FakeClock();
      const [dead, other] = [
        await openIsolate(store, clock, { isOneMachine }),
        await openIsolate(store, clock, { isOneMachine }),
      ];
      await dead.presence.join("s", ann);
      await dead.presence.join("s", bob);
      await pass(clock, age, [dead, other]);
      await pass(clock, 10, [other]);
      assert.deepEqual(await changes(other), ["enter ann", "enter bob"]);
      await other.presence.join("s", bob);
      await pass(clock, 20, [other]);
      assert.deepEqual(await changes(other), ["enter ann", "enter bob", "leave ann"]);
      await other.presence.close();
    }
  });

  Deno.test(`a stalled isolate lets its reaped members join again (${where})`, async () => {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const options = { isOneMachine };
    const [slow, other] = [
      await openIsolate(store, clock, options),
      await openIsolate(store, clock, options),
    ];
    await slow.presence.join("s", ann, `"her data"`);
    await pass(clock, 40, [other]);
    assert.deepEqual(await changes(other), ["enter ann", "leave ann"]);
    await slow.presence.tick();
    assert.equal((await snapshotOf(other.presence, room)).get("ann")?.data, `"her data"`);
    await pass(clock, 60, [slow, other]);
    assert.deepEqual(await changes(other), ["enter ann", "leave ann", "enter ann"]);
    await slow.presence.leave("s", ann);
    assert.deepEqual(await names(other), []);
    await Promise.all([slow.presence.close(), other.presence.close()]);
  });

  Deno.test(`no member leaves after all isolates stalled, as on a machine that slept (${where})`, async () => {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const options = { isOneMachine };
    const isolates = [
      await openIsolate(store, clock, options),
      await openIsolate(store, clock, options),
    ];
    const [one, two] = isolates;
    assert.ok(one && two);
    await one.presence.join("s", ann);
    await two.presence.join("s", bob);
    await pass(clock, 10, isolates);
    clock.advance(HOUR);
    await pass(clock, 60, isolates);
    assert.deepEqual(await changes(one), ["enter ann", "enter bob"]);
    for (const { presence } of isolates) await presence.close();
  });
}

for (const failure of ["hang", "fail"] as const) {
  Deno.test(`no member leaves while the store is unreachable and its calls ${failure}`, async () => {
    for (const seconds of [12, 20, 60]) {
      await using store = await openEmbedded();
      const clock = new FakeClock();
      let outage: PromiseWithResolvers<void> | undefined;
      const allow = () => {
        if (outage === undefined) return Promise.resolve();
        return failure === "hang"
          ? outage.promise
          : Promise.reject(new Error("connection refused"));
      };
      const options = {
        kv: guarded(store.kv, allow),
        isOneMachine: false,
        onWarning: () => {},
      };
      const isolates = [
        await openIsolate(store, clock, options),
        await openIsolate(store, clock, options),
        await openIsolate(store, clock, options),
      ] as const;
      const [one, two, dead] = isolates;
      await one.presence.join("s", ann);
      await two.presence.join("s", bob);
      await dead.presence.join("s", memberIn("room", "cyd"));
      await pass(clock, 7, isolates);
      outage = Promise.withResolvers();
      const ticks: Promise<void>[] = [];
      for (let i = 0; i < seconds; i++) {
        clock.advance(1_000);
        for (const { presence } of isolates) ticks.push(presence.tick());
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      outage.resolve();
      outage = undefined;
      await Promise.all(ticks);
      await pass(clock, 40, [one, two]);
      assert.deepEqual(await names(one), ["ann", "bob"]);
      const expected = ["enter ann", "enter bob", "enter cyd", "leave cyd"];
      assert.deepEqual(await changes(one), expected, `${seconds} s`);
      for (const { presence } of isolates) await presence.close();
    }
  });
}

Deno.test("members that a dead reaper left behind are reaped later, however late", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const expiring: Deno.KvKey[] = [];
  const kv = new Proxy(store.kv, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== "atomic") return typeof value === "function" ? value.bind(target) : value;
      return () => {
        const atomic = target.atomic();
        const set = atomic.set.bind(atomic);
        atomic.set = (key, value, options) => {
          if (options?.expireIn !== undefined) expiring.push(key);
          return set(key, value, options);
        };
        return atomic;
      };
    },
  });
  const dead = await openIsolate(store, clock);
  await dead.presence.join("s", ann);
  await dead.presence.join("s", bob);
  const log = await store.isolate({ now: clock.now });
  const dies = () => new Problem("storage_unavailable", "The reaper dies.");
  const next = await openIsolate(store, clock, {
    kv,
    log: refusing(log, ({ key }) => key === ann.name ? dies() : undefined),
    onWarning: () => {},
  });
  await pass(clock, 30, [next]);
  assert.deepEqual(await names(next), ["ann"]);
  clock.advance(HOUR);
  for (const key of expiring) await store.kv.delete(key); // as the store has done by now
  const last = await openIsolate(store, clock);
  await pass(clock, 30, [last]);
  assert.deepEqual(await names(last), []);
  await last.presence.close();
});

Deno.test("a member that cannot be removed does not keep members of other isolates", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  for (let i = 0; i < 8; i++) {
    const dead = await openIsolate(store, clock);
    await dead.presence.join("s", memberIn("room", `member ${i}`));
  }
  const log = await store.isolate({ now: clock.now });
  const rows = await Array.fromAsync(store.kv.list({ prefix: ["stay"] }));
  const first = String(rows[0]?.key.at(-1)); // of the isolate that is reaped first
  const refuse = () => new Problem("tenant_limit", "");
  const other = await openIsolate(store, clock, {
    log: refusing(log, ({ key }) => key === first ? refuse() : undefined),
    onWarning: () => {},
  });
  clock.advance(60_000);
  await other.presence.tick();
  assert.deepEqual(await names(other), [first]);
  await other.presence.close();
});

Deno.test("a reaper that dies does not keep others from reaping, even if its clock differs", async () => {
  for (const difference of [-HOUR, 0, HOUR]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const options = { isOneMachine: false };
    const dead = await openIsolate(store, clock, options);
    await dead.presence.join("s", ann);
    const log = await store.isolate({ now: clock.now });
    let isReaping = false;
    const reaper = await openIsolate(store, clock, {
      ...options,
      now: () => clock.now() + difference,
      log: {
        bounds: (channelKey) => log.bounds(channelKey),
        append: () => {
          isReaping = true;
          return new Promise(() => {});
        },
      },
    });
    const other = await openIsolate(store, clock, options);
    await until("the reaper has started", async () => {
      clock.advance(1_000);
      void reaper.presence.tick();
      await new Promise((resolve) => setTimeout(resolve, 1));
      return isReaping;
    });
    await pass(clock, 30, [other]);
    assert.deepEqual(await changes(other), ["enter ann", "leave ann"]);
    await other.presence.close();
  }
});

Deno.test("a join whose commit arrives after its isolate died is undone", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const log = await store.isolate({ now: clock.now });
  let arrive: (() => Promise<unknown>) | undefined;
  const dead = await openIsolate(store, clock, {
    log: {
      bounds: (channelKey) => log.bounds(channelKey),
      append: (drafts) => {
        arrive = () => log.append(drafts);
        return Promise.reject(new Problem("commit_unknown", "The store did not answer."));
      },
    },
  });
  const other = await openIsolate(store, clock);
  await assert.rejects(dead.presence.join("s", ann), problem("commit_unknown"));
  await pass(clock, 5, [dead, other]);
  assert.ok(arrive);
  await arrive();
  assert.deepEqual(await names(other), ["ann"]);
  await pass(clock, 30, [other]);
  assert.deepEqual(await names(other), []);
  await other.presence.close();
});

Deno.test("no member leaves when the machine's clock is set an hour ahead", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  let set = 0;
  const options = { isOneMachine: true, now: () => clock.now() + set };
  const isolates = [
    await openIsolate(store, clock, options),
    await openIsolate(store, clock, options),
  ];
  const [one, two] = isolates;
  assert.ok(one && two);
  await one.presence.join("s", ann);
  await two.presence.join("s", bob);
  for (let i = 0; i < 20; i++) {
    await pass(clock, 1, isolates);
    set += HOUR;
  }
  assert.deepEqual(await changes(one), ["enter ann", "enter bob"]);
  await pass(clock, 20, [one]);
  assert.deepEqual(await names(one), ["ann"]);
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("machine clocks that differ by an hour change nothing", async () => {
  for (const difference of [-HOUR, HOUR]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const options = { isOneMachine: false };
    const one = await openIsolate(store, clock, options);
    const two = await openIsolate(store, clock, {
      ...options,
      now: () => clock.now() + difference,
    });
    await one.presence.join("s", ann);
    await two.presence.join("s", bob);
    await pass(clock, 60, [one, two]);
    assert.deepEqual(await changes(one), ["enter ann", "enter bob"]);
    await pass(clock, 30, [two]);
    assert.deepEqual(await names(two), ["bob"]);
    await Promise.all([one.presence.close(), two.presence.close()]);
  }
});

Deno.test("a process that restarts on the same machine reaps at once", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const dead = await openIsolate(store, clock);
  await dead.presence.join("s", ann);
  clock.advance(60_000);
  const next = await openIsolate(store, clock);
  await next.presence.tick();
  assert.deepEqual(await changes(next), ["enter ann", "leave ann"]);
  await next.presence.close();
});

Deno.test("members of a stopped isolate have the grace period to reconnect elsewhere", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [old, next] = [await openIsolate(store, clock), await openIsolate(store, clock)];
  await old.presence.join("s", ann);
  await old.presence.join("s", bob);
  await old.presence.close();
  await assert.rejects(old.presence.join("s", ann), problem("shutting_down"));
  await pass(clock, 8, [next]);
  await next.presence.join("s", bob);
  assert.deepEqual(await names(next), ["ann", "bob"]);
  await pass(clock, 7, [next]);
  assert.deepEqual(await changes(next), ["enter ann", "enter bob", "leave ann"]);
  await next.presence.close();
});

Deno.test("a lease that cannot be read does not keep the members of other dead isolates", async () => {
  await using store = await openDamaged();
  const clock = new FakeClock();
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  const dead = await openIsolate(store, clock);
  const other = await openIsolate(store, clock, { onWarning });
  await dead.presence.join("s", ann);
  await store.kv.set(keys.isolate("a damaged one"), 0);
  await store.damage(keys.isolate("a damaged one"));
  await pass(clock, 40, [other]);
  assert.deepEqual(await changes(other), ["enter ann", "leave ann"]);
  assert.equal(warnings.length, 1);
  await other.presence.close();
});
