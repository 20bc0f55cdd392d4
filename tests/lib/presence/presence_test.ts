import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import type { KvLog } from "../../../lib/log/kv_log.ts";
import type { Draft } from "../../../lib/log/log.ts";
import { isPresenceWithoutMembers } from "../../../lib/presence/presence_channel.ts";
import type { Presence, PresenceOptions } from "../../../lib/presence/presence.ts";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { FakeClock } from "../../support/clock.ts";
import { problem, readEvents } from "../../support/log_reading.ts";
import { type IsolateOptions, type LogStore, openEmbedded } from "../../support/log_stores.ts";
import { memberIn, openPresence, snapshotOf } from "../../support/presence.ts";
import { presenceChannelKey } from "../../../lib/presence/presence_channel.ts";
import { until } from "../../support/until.ts";
import { watchedKv } from "../../support/watched_kv.ts";

const HOUR = 60 * 60 * 1_000;
const room = memberIn("room", "ann").channelKey;
const ann = memberIn("room", "ann");
const bob = memberIn("room", "bob");

interface Isolate {
  readonly presence: Presence;
  readonly log: KvLog;
}

async function isolate(
  store: LogStore,
  { now }: FakeClock,
  options: Partial<PresenceOptions> = {},
  logOptions: IsolateOptions = {},
): Promise<Isolate> {
  const log = await store.isolate({
    now,
    random: () => 0.01,
    deleteWhenEmpty: (channelKey) => isPresenceWithoutMembers(store.kv, channelKey),
    ...logOptions,
  });
  return { log, presence: openPresence({ kv: store.kv, log, now, monotonicNow: now, ...options }) };
}

/** Lets seconds pass, in each of which the isolates do what is due. */
async function pass(
  clock: FakeClock,
  seconds: number,
  isolates: readonly Isolate[],
): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    clock.advance(1_000);
    for (const { presence } of isolates) await presence.tick();
  }
}

async function names({ presence }: Isolate): Promise<readonly string[]> {
  return [...(await snapshotOf(presence, room)).keys()].toSorted();
}

async function changes({ log }: Isolate): Promise<readonly string[]> {
  const events = await readEvents(log, presenceChannelKey(room));
  return events.map(({ type, key }) => `${type} ${key}`);
}

const nobody = () => ({ [Symbol.dispose]() {} });

/** A log that refuses, as `refusal` says, what it is given. */
function refusing(
  log: KvLog,
  refusal: (draft: Draft) => Problem | undefined,
): PresenceOptions["log"] {
  return {
    head: (channelKey) => log.head(channelKey),
    append: (drafts) => {
      const problem = drafts.map(refusal).find((refused) => refused !== undefined);
      return problem === undefined ? log.append(drafts) : Promise.reject(problem);
    },
  };
}

/** `kv`, whose calls are answered once `allow` says so, and fail where it does. */
function guarded(kv: Deno.Kv, allow: () => Promise<void>): Deno.Kv {
  return new Proxy(kv, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const call = value.bind(target);
      if (name === "list") {
        return async function* (...args: Parameters<Deno.Kv["list"]>) {
          await allow();
          yield* target.list(...args);
        };
      }
      if (name === "atomic") {
        return () => {
          const atomic = target.atomic();
          const commit = atomic.commit.bind(atomic);
          atomic.commit = () => allow().then(commit);
          return atomic;
        };
      }
      if (!["get", "getMany", "set", "delete"].includes(String(name))) return call;
      return (...args: unknown[]) => allow().then(() => call(...args));
    },
  });
}

Deno.test("a lost session's member stays for 10 s", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await isolate(store, clock);
  await one.presence.join("s", ann);
  one.presence.disconnect("s", ann);
  await pass(clock, 9, [one]);
  assert.deepEqual(await names(one), ["ann"]);
  await pass(clock, 1, [one]);
  assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
  await one.presence.close();
});

Deno.test("who enters and leaves again and again, without waiting, has left in the end", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await isolate(store, clock);
  for (const times of [1, 2, 3, 4]) {
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < times; i++) {
      calls.push(one.presence.join("s", ann), one.presence.leave("s", ann));
    }
    await Promise.all(calls);
    assert.deepEqual(await names(one), [], `${times} times`);
    calls.push(one.presence.join("s", ann));
    await Promise.all(calls);
    const leaving = one.presence.leave("s", ann);
    await Promise.all([one.presence.join("s", ann), one.presence.leave("s", ann), leaving]);
    assert.deepEqual(await names(one), [], `${times} times from inside`);
  }
  await one.presence.close();
});

Deno.test("a session over HTTP ends by its time, unless it is said again", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await isolate(store, clock);
  let open = 0;
  const connect = () => {
    open++;
    return { [Symbol.dispose]: () => void open-- };
  };
  const [kept, lost] = [{ member: ann, sessionName: "a" }, { member: bob, sessionName: "b" }];
  await one.presence.renewHttpSession(kept, undefined, connect);
  await one.presence.renewHttpSession(lost, undefined, connect);
  await pass(clock, 15, [one]);
  await one.presence.renewHttpSession(kept, undefined, connect);
  assert.equal(open, 2);
  await pass(clock, 5, [one]);
  assert.equal(open, 1, "it no longer counts");
  await pass(clock, 9, [one]);
  assert.deepEqual(await names(one), ["ann", "bob"], "there is the grace time, too");
  await pass(clock, 1, [one]);
  assert.deepEqual(await names(one), ["ann"]);
  await pass(clock, 15, [one]);
  assert.deepEqual(await changes(one), ["enter ann", "enter bob", "leave bob", "leave ann"]);
  assert.equal(open, 0);
  await one.presence.close();
});

Deno.test("a session over HTTP that couldn't enter is not kept", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await isolate(store, clock);
  let open = 0;
  const connect = () => {
    open++;
    return { [Symbol.dispose]: () => void open-- };
  };
  await one.log.close();
  const session = { member: ann, sessionName: "a" };
  await assert.rejects(
    one.presence.renewHttpSession(session, "1", connect),
    problem("shutting_down"),
  );
  assert.equal(open, 0);
  assert.deepEqual(await names(one), []);
  await one.presence.tick();
  await one.presence.close();
});

Deno.test("a session over HTTP is ended from any isolate", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [one, two] = [await isolate(store, clock), await isolate(store, clock)];
  await one.presence.renewHttpSession({ member: ann, sessionName: "a" }, undefined, nobody);
  await one.presence.renewHttpSession({ member: bob, sessionName: "a" }, undefined, nobody);
  await two.presence.endHttpSession({ member: ann, sessionName: "a" });
  await pass(clock, 4, [one, two]);
  assert.deepEqual(await changes(one), ["enter ann", "enter bob", "leave ann"]);
  assert.deepEqual(await names(one), ["bob"]);
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("made-up sessions that are ended cost few commits", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  let writes = 0;
  const kv = watchedKv(store.kv, (name) => (name === "delete" || name === "atomic") && writes++);
  const [one, two] = [await isolate(store, clock, { kv }), await isolate(store, clock)];
  await one.presence.renewHttpSession({ member: ann, sessionName: "a" }, undefined, nobody);
  for (let i = 0; i < 500; i++) {
    await two.presence.endHttpSession({ member: ann, sessionName: `made-up-${i}` });
  }
  await two.presence.endHttpSession({ member: ann, sessionName: "a" });
  writes = 0;
  await pass(clock, 4, [one]);
  assert.ok(writes < 50, `${writes} writes`);
  assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
  assert.deepEqual(await Array.fromAsync(store.kv.list({ prefix: ["parting"] })), []);
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("sessions that take long to end keep nobody from finding an isolate dead", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const log = await store.isolate({ now: clock.now });
  const held = Promise.withResolvers<void>();
  const one = await isolate(store, clock, {
    log: {
      head: (channelKey) => log.head(channelKey),
      append: async (drafts) => {
        if (drafts.some(({ type, key }) => type === "leave" && key === bob.name)) {
          await held.promise;
        }
        return await log.append(drafts);
      },
    },
  });
  const [two, dead] = [await isolate(store, clock), await isolate(store, clock)];
  await dead.presence.join("s", ann);
  await one.presence.renewHttpSession({ member: bob, sessionName: "b" }, undefined, nobody);
  await two.presence.endHttpSession({ member: bob, sessionName: "b" });
  const beats: Promise<void>[] = [];
  await until("the dead one's member has left", async () => {
    clock.advance(1_000);
    beats.push(one.presence.tick());
    await new Promise((resolve) => setTimeout(resolve, 1));
    return !(await names(one)).includes("ann");
  });
  held.resolve();
  await Promise.all(beats);
  assert.deepEqual(await names(one), []);
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("a session that is refused once and then let in is in", async () => {
  for (const leavesBetween of [false, true]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const log = await store.isolate({ now: clock.now });
    const one = await isolate(store, clock, {
      log: refusing(
        log,
        ({ data }) => String(data).includes("refused") ? new Problem("overloaded", "") : undefined,
      ),
    });
    const refused = assert.rejects(
      one.presence.join("s", ann, `"refused"`),
      problem("overloaded"),
    );
    const left = leavesBetween && one.presence.leave("s", ann);
    await Promise.all([refused, left, one.presence.join("s", ann, `"taken"`)]);
    await pass(clock, 20, [one]);
    assert.deepEqual(await names(one), ["ann"]);
    await one.presence.leave("s", ann);
    assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
    await one.presence.close();
  }
});

Deno.test("who comes back and is refused has the rest of the grace time to try again", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const log = await store.isolate({ now: clock.now });
  const one = await isolate(store, clock, {
    log: refusing(log, ({ type }) => type === "update" ? new Problem("overloaded", "") : undefined),
  });
  await one.presence.join("s", ann);
  one.presence.disconnect("s", ann);
  await pass(clock, 4, [one]);
  await assert.rejects(one.presence.join("t", ann, "1"), problem("overloaded"));
  await pass(clock, 5, [one]);
  assert.deepEqual(await changes(one), ["enter ann"]);
  await pass(clock, 1, [one]);
  assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
  await one.presence.close();
});

Deno.test("who is refused for sure leaves no trace, and no work for later", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  let calls = 0;
  const kv = guarded(store.kv, () => Promise.resolve(void calls++));
  const log = await store.isolate({ now: clock.now });
  const one = await isolate(store, clock, {
    kv,
    log: refusing(log, () => new Problem("tenant_limit", "")),
  });
  await one.presence.tick();
  const refused = () => assert.rejects(one.presence.join("s", ann), problem("tenant_limit"));
  await refused();
  await Promise.all([refused(), refused()]);
  calls = 0;
  clock.advance(1_000);
  await one.presence.tick();
  assert.equal(calls, 1, "the lease, which nobody needs any more, is deleted");
  await one.presence.close();
});

Deno.test("who couldn't leave or enter since the store was away does so later", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const log = await store.isolate({ now: clock.now });
  let isAway = false;
  const warnings: string[] = [];
  const one = await isolate(store, clock, {
    log: {
      head: (channelKey) => log.head(channelKey),
      append: (drafts) =>
        isAway
          ? Promise.reject(new Problem("storage_unavailable", "It is away."))
          : log.append(drafts),
    },
    onWarning: (message) => warnings.push(message),
  });
  await one.presence.join("s", ann);
  isAway = true;
  await assert.rejects(one.presence.leave("s", ann), problem("storage_unavailable"));
  await assert.rejects(one.presence.join("s", bob), problem("storage_unavailable"));
  await pass(clock, 2, [one]);
  assert.deepEqual(await names(one), ["ann"]);
  assert.ok(warnings.length > 0);
  isAway = false;
  await pass(clock, 1, [one]);
  assert.deepEqual(await changes(one), ["enter ann", "leave ann"]);
  await one.presence.join("s", bob);
  assert.deepEqual(await names(one), ["bob"]);
  await one.presence.close();
});

for (const isOneMachine of [true, false]) {
  const where = isOneMachine ? "on one machine" : "on several machines";

  Deno.test(`members of an isolate that died leave within 30 s, and not within 10 (${where})`, async () => {
    // Whenever it died between two signs of life.
    for (let age = 0; age <= 6; age++) {
      await using store = await openEmbedded();
      const clock = new FakeClock();
      const [dead, other] = [
        await isolate(store, clock, { isOneMachine }),
        await isolate(store, clock, { isOneMachine }),
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

  Deno.test(`an isolate that was held up takes its members back (${where})`, async () => {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const options = { isOneMachine };
    const [slow, other] = [
      await isolate(store, clock, options),
      await isolate(store, clock, options),
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

  Deno.test(`nobody leaves where all were held up, as by a machine that slept (${where})`, async () => {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const options = { isOneMachine };
    const isolates = [
      await isolate(store, clock, options),
      await isolate(store, clock, options),
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

for (const failure of ["waits", "fails"] as const) {
  Deno.test(`nobody leaves where the store was away, and whoever asks ${failure}`, async () => {
    for (const seconds of [12, 20, 60]) {
      await using store = await openEmbedded();
      const clock = new FakeClock();
      let away: PromiseWithResolvers<void> | undefined;
      const allow = () => {
        if (away === undefined) return Promise.resolve();
        return failure === "waits" ? away.promise : Promise.reject(new Error("connection refused"));
      };
      const options = {
        kv: guarded(store.kv, allow),
        isOneMachine: false,
        onWarning: () => {},
      };
      const isolates = [
        await isolate(store, clock, options),
        await isolate(store, clock, options),
        await isolate(store, clock, options),
      ] as const;
      const [one, two, dead] = isolates;
      await one.presence.join("s", ann);
      await two.presence.join("s", bob);
      await dead.presence.join("s", memberIn("room", "cyd"));
      await pass(clock, 7, isolates);
      away = Promise.withResolvers();
      const beats: Promise<void>[] = [];
      for (let i = 0; i < seconds; i++) {
        clock.advance(1_000);
        for (const { presence } of isolates) beats.push(presence.tick());
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      away.resolve();
      away = undefined;
      await Promise.all(beats);
      await pass(clock, 40, [one, two]);
      assert.deepEqual(await names(one), ["ann", "bob"]);
      const seen = ["enter ann", "enter bob", "enter cyd", "leave cyd"];
      assert.deepEqual(await changes(one), seen, `${seconds} s`);
      for (const { presence } of isolates) await presence.close();
    }
  });
}

Deno.test("what an isolate that died midway in taking members out left is taken out, whenever", async () => {
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
  const dead = await isolate(store, clock);
  await dead.presence.join("s", ann);
  await dead.presence.join("s", bob);
  const log = await store.isolate({ now: clock.now });
  const away = () => new Problem("storage_unavailable", "It dies.");
  const next = await isolate(store, clock, {
    kv,
    log: refusing(log, ({ key }) => key === ann.name ? away() : undefined),
    onWarning: () => {},
  });
  await pass(clock, 30, [next]);
  assert.deepEqual(await names(next), ["ann"]);
  clock.advance(HOUR);
  for (const key of expiring) await store.kv.delete(key); // as the store does by then
  const last = await isolate(store, clock);
  await pass(clock, 30, [last]);
  assert.deepEqual(await names(last), []);
  await last.presence.close();
});

Deno.test("one member that can't leave keeps none of other isolates", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  for (let i = 0; i < 8; i++) {
    const dead = await isolate(store, clock);
    await dead.presence.join("s", memberIn("room", `member ${i}`));
  }
  const log = await store.isolate({ now: clock.now });
  const stays = await Array.fromAsync(store.kv.list({ prefix: ["stay"] }));
  const first = String(stays[0]?.key.at(-1)); // of the isolate whose turn is first
  const limit = () => new Problem("tenant_limit", "");
  const other = await isolate(store, clock, {
    log: refusing(log, ({ key }) => key === first ? limit() : undefined),
    onWarning: () => {},
  });
  clock.advance(60_000);
  await other.presence.tick();
  assert.deepEqual(await names(other), [first]);
  await other.presence.close();
});

Deno.test("an isolate that dies as it takes members out keeps no other from it, whatever its clock", async () => {
  for (const difference of [-HOUR, 0, HOUR]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const options = { isOneMachine: false };
    const dead = await isolate(store, clock, options);
    await dead.presence.join("s", ann);
    const log = await store.isolate({ now: clock.now });
    let isAtIt = false;
    const worker = await isolate(store, clock, {
      ...options,
      now: () => clock.now() + difference,
      log: {
        head: (channelKey) => log.head(channelKey),
        append: () => {
          isAtIt = true;
          return new Promise(() => {});
        },
      },
    });
    const other = await isolate(store, clock, options);
    await until("the worker has begun", async () => {
      clock.advance(1_000);
      void worker.presence.tick();
      await new Promise((resolve) => setTimeout(resolve, 1));
      return isAtIt;
    });
    await pass(clock, 30, [other]);
    assert.deepEqual(await changes(other), ["enter ann", "leave ann"]);
    await other.presence.close();
  }
});

Deno.test("who was refused leaves, though the commit came when the isolate had died", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const log = await store.isolate({ now: clock.now });
  let arrive: (() => Promise<unknown>) | undefined;
  const dead = await isolate(store, clock, {
    log: {
      head: (channelKey) => log.head(channelKey),
      append: (drafts) => {
        arrive = () => log.append(drafts);
        return Promise.reject(new Problem("commit_unknown", "The store did not answer."));
      },
    },
  });
  const other = await isolate(store, clock);
  await assert.rejects(dead.presence.join("s", ann), problem("commit_unknown"));
  await pass(clock, 5, [dead, other]);
  assert.ok(arrive);
  await arrive();
  assert.deepEqual(await names(other), ["ann"]);
  await pass(clock, 30, [other]);
  assert.deepEqual(await names(other), []);
  await other.presence.close();
});

Deno.test("who was refused by a store that did it later all the same leaves", async () => {
  for (const isAlone of [true, false]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const log = await store.isolate({ now: clock.now });
    let arrive: (() => Promise<unknown>) | undefined;
    const one = await isolate(store, clock, {
      log: {
        head: (channelKey) => log.head(channelKey),
        append: (drafts) => {
          if (drafts.every(({ key }) => key !== ann.name) || arrive) return log.append(drafts);
          arrive = () => log.append(drafts);
          return Promise.reject(new Problem("commit_unknown", "The store did not answer."));
        },
      },
    });
    if (!isAlone) await one.presence.join("s", bob);
    await assert.rejects(one.presence.join("s", ann), problem("commit_unknown"));
    await pass(clock, 3, [one]);
    assert.ok(arrive);
    await arrive();
    assert.ok((await names(one)).includes("ann"));
    await pass(clock, 65, [one]);
    assert.deepEqual(await names(one), isAlone ? [] : ["bob"]);
    await one.presence.close();
  }
});

Deno.test("nobody leaves where the machine's clock is set an hour on", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  let set = 0;
  const options = { isOneMachine: true, now: () => clock.now() + set };
  const isolates = [
    await isolate(store, clock, options),
    await isolate(store, clock, options),
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

Deno.test("clocks of machines that differ by an hour change nothing", async () => {
  for (const difference of [-HOUR, HOUR]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const options = { isOneMachine: false };
    const one = await isolate(store, clock, options);
    const two = await isolate(store, clock, { ...options, now: () => clock.now() + difference });
    await one.presence.join("s", ann);
    await two.presence.join("s", bob);
    await pass(clock, 60, [one, two]);
    assert.deepEqual(await changes(one), ["enter ann", "enter bob"]);
    await pass(clock, 30, [two]);
    assert.deepEqual(await names(two), ["bob"]);
    await Promise.all([one.presence.close(), two.presence.close()]);
  }
});

Deno.test("who starts on a machine after a crash takes the members out at once", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const dead = await isolate(store, clock);
  await dead.presence.join("s", ann);
  clock.advance(60_000);
  const next = await isolate(store, clock);
  await next.presence.tick();
  assert.deepEqual(await changes(next), ["enter ann", "leave ann"]);
  await next.presence.close();
});

Deno.test("members of an isolate that stopped have the grace time to come back elsewhere", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [old, next] = [await isolate(store, clock), await isolate(store, clock)];
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

Deno.test("an isolate without members writes nothing, and leaves nothing behind", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await isolate(store, clock);
  const rows = async () => {
    const found: Deno.KvKey[] = [];
    for (const prefix of [keys.isolates(), ["stay"], ["member"], ["parting"], ["lease"]]) {
      for await (const { key } of store.kv.list({ prefix })) found.push(key);
    }
    return found;
  };
  await pass(clock, 10, [one]);
  assert.deepEqual(await rows(), []);
  await one.presence.join("s", ann);
  assert.equal((await rows()).length, 3);
  await one.presence.leave("s", ann);
  await pass(clock, 1, [one]);
  assert.deepEqual(await rows(), []);
  await one.presence.close();
});

Deno.test("the longest names and the largest data of many fit into the store's commits", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await isolate(store, clock);
  const many = Array.from({ length: 300 }, (_, i) => {
    return memberIn("€".repeat(82), `${"€".repeat(84)}${String(i).padStart(4, "0")}`);
  });
  const data = `"${"€".repeat(340)}"`;
  await Promise.all(many.map((who) => one.presence.join("s", who, data)));
  const [first] = many;
  assert.ok(first);
  assert.equal((await snapshotOf(one.presence, first.channelKey)).size, 300);
  await Promise.all(many.map((who) => one.presence.leave("s", who)));
  assert.equal((await snapshotOf(one.presence, first.channelKey)).size, 0);
  await one.presence.close();
});

Deno.test("a presence channel ends where nobody is, once it has nothing to tell", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await isolate(store, clock, {}, { maxChannels: 2 });
  const later = memberIn("later", "ann");
  await one.presence.join("s", ann);
  await one.presence.join("s", later);
  await assert.rejects(one.presence.join("s", memberIn("more", "ann")), problem("tenant_limit"));
  await one.presence.leave("s", later);
  await pass(clock, 1, [one]);
  for (let hours = 0; hours < 2; hours++) {
    clock.advance(HOUR + 1);
    await one.log.retain();
    await one.log.retain(); // what has become empty
  }
  const channels = await one.log.channels(DEFAULT_TENANT, "", 10);
  assert.deepEqual(channels.map(({ channel }) => channel), ["$presence:room"]);
  assert.deepEqual(await changes(one), [], "they are kept for an hour");
  assert.deepEqual(await names(one), ["ann"]);
  await one.presence.join("s", memberIn("more", "ann"));
  await one.presence.close();
});
