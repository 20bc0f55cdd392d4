import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { MAX_LISTED_SESSIONS } from "../../../lib/presence/listed_sessions.ts";
import { GRACE_MS } from "../../../lib/presence/local_members.ts";
import { NamedSession } from "../../../lib/presence/named_session.ts";
import { presenceChannelKey } from "../../../lib/presence/presence_channel.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { FakeClock } from "../../support/clock.ts";
import { problem, readEvents } from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { foldOf, memberIn, snapshotOf } from "../../support/presence.ts";
import {
  ann,
  bob,
  changes,
  type Isolate,
  names,
  openIsolate,
  pass,
  room,
} from "../../support/presence_isolates.ts";
import { watchedKv } from "../../support/watched_kv.ts";

const noConnection = () => ({ [Symbol.dispose]() {} });
const GRACE_S = GRACE_MS / 1_000;

function named(name: string): NamedSession {
  return new NamedSession(name, true);
}

/** Returns what the snapshot lists for the member; the log must agree. */
async function listed({ presence, log }: Isolate, { channelKey, name } = ann) {
  const members = await snapshotOf(presence, channelKey);
  assert.deepEqual(members, await foldOf(log, channelKey));
  const read = await presence.sessionsOf({ channelKey, name });
  assert.deepEqual(read, members.get(name)?.sessions);
  return read;
}

Deno.test("two named sessions are one member, and each change of their list is an update", async () => {
  await using store = await openEmbedded();
  const one = await openIsolate(store, new FakeClock());
  await one.presence.join(named("tab-b"), ann, "1");
  assert.deepEqual(await listed(one), ["tab-b"]);
  await one.presence.join(named("tab-a"), ann);
  assert.deepEqual(await listed(one), ["tab-a", "tab-b"]);
  await one.presence.join("socket", ann);
  await one.presence.endSession({ member: ann, sessionName: "tab-b" });
  assert.deepEqual(await listed(one), ["tab-a"]);
  await one.presence.leave("socket", ann);
  await one.presence.endSession({ member: ann, sessionName: "tab-a" });
  assert.equal(await listed(one), undefined);
  assert.deepEqual(await changes(one), ["enter ann", "update ann", "update ann", "leave ann"]);
  const events = await readEvents(one.log, presenceChannelKey(room));
  const sessions = events.map(({ data }) => JSON.parse(String(data)).sessions);
  assert.deepEqual(sessions, [["tab-b"], ["tab-a", "tab-b"], ["tab-a"], undefined]);
  await one.presence.close();
});

Deno.test("a named session and new data are one change", async () => {
  await using store = await openEmbedded();
  const one = await openIsolate(store, new FakeClock());
  await one.presence.join("socket", ann, "1");
  await one.presence.join(named("x"), ann, "2");
  assert.deepEqual(await changes(one), ["enter ann", "update ann"]);
  assert.deepEqual(await listed(one), ["x"]);
  await one.presence.close();
});

Deno.test("members without named sessions are stored and shown as before", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [one, two] = [await openIsolate(store, clock), await openIsolate(store, clock)];
  await one.presence.join("s", ann, "1");
  await two.presence.join("s", ann);
  const { value } = await store.kv.get<object>(keys.member(room, ann.name));
  assert.ok(value);
  assert.deepEqual(Object.keys(value).sort(), ["data", "isolates", "offset", "since"]);
  const [event] = await readEvents(one.log, presenceChannelKey(room));
  const since = new Date(clock.now()).toISOString();
  assert.equal(event?.data, `{"member":"ann","data":1,"since":"${since}"}`);
  assert.deepEqual(await one.presence.sessionsOf(ann), []);
  assert.equal(await one.presence.sessionsOf(bob), undefined);
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("a lost named session stays listed for the grace period", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock);
  const lost = named("x");
  await one.presence.join("socket", ann);
  await one.presence.join(lost, ann);
  one.presence.disconnect(lost, ann);
  await pass(clock, GRACE_S - 1, [one]);
  assert.deepEqual(await listed(one), ["x"]);
  await pass(clock, 2, [one]);
  assert.deepEqual(await listed(one), []);
  assert.deepEqual(await changes(one), ["enter ann", "update ann", "update ann"]);
  await one.presence.close();
});

Deno.test("a member stays while a lost named session has its grace period", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock);
  const lost = named("x");
  await one.presence.join("socket", ann);
  await one.presence.join(lost, ann);
  one.presence.disconnect(lost, ann);
  await one.presence.leave("socket", ann);
  await pass(clock, GRACE_S - 1, [one]);
  assert.deepEqual(await listed(one), ["x"]);
  await pass(clock, 2, [one]);
  assert.deepEqual(await changes(one), ["enter ann", "update ann", "leave ann"]);
  await one.presence.close();
});

Deno.test("a session that reconnects by its name causes no event, on any isolate", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [one, two] = [await openIsolate(store, clock), await openIsolate(store, clock)];
  const sockets = [named("x"), named("x"), named("x")] as const;
  await one.presence.join(sockets[0], ann);
  one.presence.disconnect(sockets[0], ann);
  await pass(clock, 5, [one, two]);
  await one.presence.join(sockets[1], ann);
  await two.presence.join(sockets[2], ann); // before its old socket is known to be lost
  one.presence.disconnect(sockets[1], ann);
  await pass(clock, 2 * GRACE_S, [one, two]);
  assert.deepEqual(await listed(two), ["x"]);
  assert.deepEqual(await changes(two), ["enter ann"]);
  await two.presence.endSession({ member: ann, sessionName: "x" });
  assert.deepEqual(await changes(two), ["enter ann", "leave ann"], "it leaves at once");
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("leave ends a session of that name on all sockets, those of other isolates within seconds", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [one, two] = [await openIsolate(store, clock), await openIsolate(store, clock)];
  await one.presence.join("socket", ann);
  const [half, open] = [named("x"), named("x")];
  await one.presence.join(half, ann);
  await one.presence.join(open, ann);
  await one.presence.endSession({ member: ann, sessionName: "x" });
  assert.deepEqual(await listed(one), []);
  assert.equal(one.presence.hasSession(half, ann), false);
  one.presence.disconnect(half, ann);
  await one.presence.join(named("y"), ann);
  await two.presence.endSession({ member: ann, sessionName: "y" });
  await pass(clock, 4, [one, two]);
  assert.deepEqual(await listed(one), []);
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("the named sessions of a dead isolate go when it is reaped", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [one, dead] = [await openIsolate(store, clock), await openIsolate(store, clock)];
  await one.presence.join(named("x"), ann);
  await dead.presence.join(named("y"), ann);
  await dead.presence.join(named("z"), bob);
  assert.deepEqual(await listed(one), ["x", "y"]);
  await pass(clock, 30, [one]);
  assert.deepEqual(await listed(one), ["x"]);
  assert.deepEqual(await names(one), ["ann"]);
  assert.deepEqual(await changes(one), [
    "enter ann",
    "update ann",
    "enter bob",
    "update ann",
    "leave bob",
  ]);
  await pass(clock, 2, [dead]); // it was only stuck
  assert.deepEqual(await listed(one), ["x", "y"]);
  assert.deepEqual(await listed(one, bob), ["z"]);
  await Promise.all([one.presence.close(), dead.presence.close()]);
});

Deno.test("a member has at most 20 named sessions; more over HTTP join without being listed", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [one, two] = [await openIsolate(store, clock), await openIsolate(store, clock)];
  const all = Array.from({ length: MAX_LISTED_SESSIONS }, (_, i) => `s${10 + i}`);
  for (const [i, name] of all.entries()) {
    await (i % 2 === 0 ? one : two).presence.join(named(name), ann);
  }
  await assert.rejects(one.presence.join(named("more"), ann), problem("too_many_sessions"));
  await two.presence.join(named("s10"), ann); // listed already, on the other isolate
  const http = { member: ann, sessionName: "http" };
  await one.presence.renewHttpSession(http, undefined, noConnection);
  assert.deepEqual(await listed(one), all);
  await one.presence.endSession({ member: ann, sessionName: "s12" });
  await one.presence.renewHttpSession(http, undefined, noConnection);
  assert.deepEqual(await listed(one), ["http", ...all.filter((name) => name !== "s12")]);
  await Promise.all([one.presence.close(), two.presence.close()]);
});

Deno.test("a refused named session leaves no work for later", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  let writes = 0;
  const kv = watchedKv(store.kv, (name) => name === "atomic" && writes++);
  const one = await openIsolate(store, clock, { kv });
  for (let i = 0; i < MAX_LISTED_SESSIONS; i++) await one.presence.join(named(`${i}`), ann);
  await pass(clock, 1, [one]); // looks for dead isolates, for the first time
  writes = 0;
  await assert.rejects(one.presence.join(named("more"), ann), problem("too_many_sessions"));
  await pass(clock, 1, [one]);
  assert.equal(writes, 0);
  await one.presence.close();
});

Deno.test("the names of an isolate that an older version of Weir removed are not shown", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const [one, two] = [await openIsolate(store, clock), await openIsolate(store, clock)];
  await one.presence.join(named("x"), ann);
  const key = keys.member(room, ann.name);
  const { value } = await store.kv.get<{ sessions: object }>(key);
  assert.ok(value);
  const sessions = { ...value.sessions, "removed isolate": ["ghost"] };
  await store.kv.set(key, { ...value, sessions });
  assert.deepEqual(await listed(one), ["x"]);
  await two.presence.join(named("y"), ann);
  assert.deepEqual(await listed(one), ["x", "y"]);
  assert.ok(!JSON.stringify((await store.kv.get(key)).value).includes("ghost"));
  await Promise.all([one.presence.close(), two.presence.close()]);
});

/** Opens an isolate whose appends can go without an answer, to arrive later or never. */
async function openUncertain(store: Awaited<ReturnType<typeof openEmbedded>>, clock: FakeClock) {
  const log = await store.isolate({ now: clock.now });
  const late: (() => Promise<unknown>)[] = [];
  const state = { isUncertain: false };
  const isolate = await openIsolate(store, clock, {
    log: {
      bounds: (channelKey) => log.bounds(channelKey),
      append: (drafts) => {
        if (!state.isUncertain) return log.append(drafts);
        late.push(() => log.append(drafts));
        return Promise.reject(new Problem("commit_unknown", "The store did not answer."));
      },
    },
  });
  const arrive = () => Promise.allSettled(late.map((commit) => commit()));
  return { isolate, state, arrive };
}

Deno.test("a named session whose refused join arrives late is not listed", async () => {
  for (const isRemovedFirst of [true, false]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const { isolate: one, state, arrive } = await openUncertain(store, clock);
    await one.presence.join("socket", ann);
    state.isUncertain = true;
    await assert.rejects(one.presence.join(named("x"), ann), problem("commit_unknown"));
    state.isUncertain = false;
    if (isRemovedFirst) await pass(clock, 1, [one]);
    await arrive();
    await pass(clock, 1, [one]);
    assert.deepEqual(await listed(one), []);
    await one.presence.close();
  }
});

Deno.test("a leave that arrives late does not remove who joined again", async () => {
  for (const hasOtherSession of [true, false]) {
    await using store = await openEmbedded();
    const clock = new FakeClock();
    const { isolate: one, state, arrive } = await openUncertain(store, clock);
    if (hasOtherSession) await one.presence.join("socket", ann);
    await one.presence.join(named("x"), ann);
    state.isUncertain = true;
    const left = one.presence.endSession({ member: ann, sessionName: "x" });
    await assert.rejects(left, problem("commit_unknown"));
    state.isUncertain = false;
    await one.presence.join(named("x"), ann);
    await arrive();
    await pass(clock, 1, [one]);
    assert.deepEqual(await listed(one), ["x"]);
    await one.presence.close();
  }
});

Deno.test("a session that is lost while it joins has the grace period", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  const one = await openIsolate(store, clock);
  await one.presence.join("socket", ann);
  const lost = named("x");
  const joining = one.presence.join(lost, ann);
  one.presence.disconnect(lost, ann);
  await joining;
  await pass(clock, GRACE_S - 1, [one]);
  assert.deepEqual(await listed(one), ["x"]);
  await pass(clock, 2, [one]);
  assert.deepEqual(await listed(one), []);
  await one.presence.close();
});

Deno.test("many members with the most and longest session names fit into the store's commits", async () => {
  await using store = await openEmbedded();
  const one = await openIsolate(store, new FakeClock());
  const many = Array.from({ length: 50 }, (_, i) => {
    return memberIn("€".repeat(82), `${"€".repeat(84)}${String(i).padStart(4, "0")}`);
  });
  const sessions = Array.from({ length: MAX_LISTED_SESSIONS }, (_, i) => {
    return named(`${10 + i}`.padEnd(64, "x"));
  });
  const data = `"${"€".repeat(340)}"`;
  await Promise.all(many.flatMap((who) => {
    return sessions.map((session) => one.presence.join(session, who, data));
  }));
  const [first] = many;
  assert.ok(first);
  for (const { sessions } of (await snapshotOf(one.presence, first.channelKey)).values()) {
    assert.equal(sessions.length, MAX_LISTED_SESSIONS);
  }
  await Promise.all(many.flatMap((who) => {
    return sessions.map((session) => one.presence.leave(session, who));
  }));
  assert.equal((await snapshotOf(one.presence, first.channelKey)).size, 0);
  await one.presence.close();
});

Deno.test("sessions of many members are read in few round trips", async () => {
  await using store = await openEmbedded();
  const clock = new FakeClock();
  let reads = 0;
  const kv = watchedKv(store.kv, (name) => name === "getMany" && reads++);
  const one = await openIsolate(store, clock, { kv });
  const many = Array.from({ length: 20 }, (_, i) => memberIn("room", `m${i}`));
  await Promise.all(many.map((who) => one.presence.join(named("x"), who)));
  reads = 0;
  const read = await Promise.all(many.map((who) => one.presence.sessionsOf(who)));
  assert.deepEqual(read, many.map(() => ["x"]));
  assert.ok(reads <= 2, `${reads} round trips`);
  await one.presence.close();
});
