import assert from "node:assert/strict";
import type { Member, Presence } from "../../../../lib/client/api.ts";
import { lazyPresence } from "../../../../lib/client/presence/lazy_presence.ts";
import { makePresence } from "../../../../lib/client/presence/presence.ts";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { epochAt, formatOffset } from "../../../../lib/shared/offset.ts";
import { FakeLink } from "../../../support/fake_link.ts";
import { until } from "../../../support/until.ts";

const at = (sequence: number) => formatOffset(epochAt(1), sequence);

Deno.test("members are the snapshot plus the changes after it", async () => {
  const link = new FakeLink(() => snapshot([["ann", 1], ["bob", 4]], 3));
  const { members } = makePresence<string>(link, "room/1", unexpected);
  const seen: string[][] = [];
  const end = members.subscribe((now) => seen.push(now.map(({ member, data }) => member + data)));
  assert.deepEqual(seen, [[]]); // before the snapshot
  await until("it reads the changes", () => link.open.length === 1);
  assert.deepEqual(link.calls, [{ op: "get", path: "/v1/channels/room%2F1/members" }]);
  const [feed] = link.open;
  assert.deepEqual([feed?.channel, feed?.after], ["$presence:room/1", at(3)]);
  await until("the snapshot arrives", () => seen.length === 2);
  change(link, 4, "enter", "bob", "old"); // already in the snapshot
  change(link, 5, "enter", "cy", "!");
  change(link, 6, "update", "ann", "?");
  change(link, 7, "leave", "bob");
  await until("the changes arrive", () => seen.length === 3);
  assert.deepEqual(seen, [[], ["ann1", "bob4"], ["ann?", "cy!"]]);
  assert.deepEqual(members.value.map(({ member }) => member), ["ann", "cy"]);

  end();
  end();
  await until("it stops reading", () => link.open.length === 0);
});

Deno.test("members that are not known yet are one array, and subscribe() needs no `this`", async () => {
  const link = new FakeLink(() => snapshot([["ann", 1]], 1));
  const load = () => Promise.resolve(makePresence<string>(link, "a", unexpected));
  const { members: { subscribe }, members } = lazyPresence<string>(load, unexpected);
  assert.equal(members.value, members.value);
  const told: (readonly Member<string>[])[] = [];
  const end = subscribe((now) => told.push(now));
  assert.deepEqual(told.map(({ length }) => length), [0]); // immediately
  assert.equal(told[0], members.value);
  await until("the snapshot arrives", () => told.length === 2);
  assert.equal(told[1], members.value);
  const endSecond = subscribe((now) => told.push(now));
  assert.equal(told[2], members.value);
  endSecond();
  end();
  await until("it stops reading", () => link.open.length === 0);
});

Deno.test("after a gap, or a lost snapshot, the members are read again", async () => {
  let calls = 0;
  const link = new FakeLink(() => {
    calls++;
    if (calls === 2) throw new WeirError("unreachable", "Cut.");
    return calls === 1 ? snapshot([["ann", 1]], 1) : snapshot([["bob", 9]], 9);
  });
  const { members } = makePresence(link, "a", unexpected);
  const end = members.subscribe(() => {});
  await until("it reads the changes", () => link.open.length === 1);
  link.open[0]?.listener.gap({
    kind: "gap",
    channel: "$presence:a",
    reason: "expired",
    requested: at(1),
    firstAvailable: at(5),
    lost: 3,
  });
  await until("the snapshot request failed", () => calls === 2);
  await new Promise((resolve) => setTimeout(resolve, 0));
  link.reconnect();
  await until("it continues", () => members.value[0]?.member === "bob");
  assert.deepEqual(link.open.map(({ after }) => after), [at(9)]);
  end();
});

Deno.test("an invalid snapshot is reported and requested again", async () => {
  const link: FakeLink = new FakeLink(() =>
    link.calls.length === 1 ? {} : snapshot([["ann", 1]], 1)
  );
  const errors: string[] = [];
  const { members } = makePresence(link, "a", ({ code }) => errors.push(code));
  const end = members.subscribe(() => {});
  await until("it has the members", () => members.value[0]?.member === "ann");
  assert.deepEqual(errors, ["bad_answer"]);
  end();
});

Deno.test("an invalid answer to enter is reported, and the call is repeated", async () => {
  const notWeir = new WeirError("bad_answer", "A page.");
  const link: FakeLink = new FakeLink(() => {
    if (link.calls.length === 1) throw notWeir;
    return {};
  });
  const errors: string[] = [];
  const presence = makePresence(link, "a", ({ code }) => errors.push(code));
  await presence.enter();
  assert.deepEqual([errors, link.calls.length], [["bad_answer"], 2]);
});

Deno.test("a new listener causes a new snapshot, and a refusal is reported", async () => {
  let isAllowed = true;
  const errors: WeirError[] = [];
  const link = new FakeLink(() => {
    if (!isAllowed) throw new WeirError("forbidden", "No.", { status: 403 });
    return snapshot([["ann", 1]], 1);
  });
  const { members } = makePresence(link, "a", (error) => errors.push(error));
  members.subscribe(() => {})();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(link.open.length, 0);
  const end = members.subscribe(() => {});
  await until("it reads", () => link.open.length === 1);
  isAllowed = false;
  link.open[0]?.listener.ended(new WeirError("forbidden", "Not any more."));
  await until("it is reported", () => errors.length === 1);
  end();
  members.subscribe(() => {});
  await until("it is reported again", () => errors.length === 2);
  assert.deepEqual(errors.map(({ code }) => code), ["forbidden", "forbidden"]);
});

Deno.test("a member enters again after each reconnect, until it leaves", async () => {
  const link = new FakeLink();
  const presence = makePresence<unknown>(link, "a", unexpected);
  await presence.enter({ x: 1 });
  link.lose();
  link.reconnect();
  await until("it is there again", () => link.calls.length === 2);
  await presence.enter({ x: 2 }, {});
  link.lose();
  link.reconnect();
  await until("it is there again", () => link.calls.length === 4);
  await presence.leave();
  await presence.leave();
  link.lose();
  link.reconnect();
  await new Promise((resolve) => setTimeout(resolve, 0));
  const enter = (x: number) => ({ op: "enter", channel: "a", data: { x } });
  assert.deepEqual(link.calls, [
    enter(1),
    enter(1),
    enter(2),
    enter(2),
    { op: "leave", channel: "a" },
  ]);
});

Deno.test("entering as another member leaves first", async () => {
  const link = new FakeLink();
  const presence = makePresence(link, "a", unexpected);
  await presence.enter(undefined, { member: "ann" });
  await presence.enter(undefined, { member: "bob" });
  const member = (op: string, member: string) => ({ op, channel: "a", member });
  assert.deepEqual(link.calls, [
    member("enter", "ann"),
    member("leave", "ann"),
    member("enter", "bob"),
  ]);
});

Deno.test("a membership is renewed before it expires, but not after leaving", async () => {
  const link = new FakeLink(() => ({ expiresIn: 2 }));
  const presence = makePresence(link, "a", unexpected);
  await presence.enter();
  await until("it was renewed", () => link.calls.length >= 4);
  await presence.leave();
  const { length } = link.calls;
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(link.calls.length, length);
});

Deno.test("entering waits for the connection, and rejects once the client is closed", async () => {
  const refusals: WeirError[] = [];
  const link = new FakeLink(() => {
    for (const refusal of refusals) throw refusal;
    return {};
  });
  link.lose();
  const errors: string[] = [];
  const presence = makePresence(link, "a", ({ code }) => errors.push(code));
  const entered = presence.enter();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(link.calls.length, 0);
  link.reconnect();
  await entered;
  const calls = link.calls.length;

  refusals.push(new WeirError("presence_full", "Full.", { status: 403 }));
  link.lose();
  link.reconnect();
  await until("the refusal is reported", () => errors.length > 0);
  assert.deepEqual([errors, link.calls.length], [["presence_full"], calls + 1]);
  await assert.rejects(presence.enter(), { code: "presence_full" });
  link.lose();
  link.reconnect();
  await link.close();
  await assert.rejects(presence.enter(), { code: "closed" });
  assert.deepEqual(errors, ["presence_full"]);
});

Deno.test("an enter that opens the connection is sent once", async () => {
  const link = new FakeLink(() => {
    link.reconnect();
    return {};
  });
  link.state.set({ status: "idle" });
  const presence = makePresence(link, "a", unexpected);
  await presence.enter();
  await presence.leave(); // runs after all earlier calls
  assert.deepEqual(link.calls.map(({ op }) => op), ["enter", "leave"]);
});

Deno.test("presences of the same member share a membership until the last one leaves", async () => {
  const link = new FakeLink();
  const [header, sidebar] = [1, 2].map((): Presence => makePresence(link, "a", unexpected)) as Two;
  await header.enter(1, { member: "ann" });
  await sidebar.enter(2, { member: "ann" });
  await makePresence(link, "b", unexpected).enter(3, { member: "ann" });
  await sidebar.leave();
  await sidebar.leave();
  link.calls.length = 0;
  link.lose();
  link.reconnect();
  await until("both are there again", () => link.calls.length === 2);
  await header.leave();
  const ann = { member: "ann" };
  assert.deepEqual(link.calls, [
    { op: "enter", channel: "a", ...ann, data: 2 },
    { op: "enter", channel: "b", ...ann, data: 3 },
    { op: "leave", channel: "a", ...ann },
  ]);
});

Deno.test("presences without a member share one, also with those that name that member", async () => {
  const link = new FakeLink(({ op }) => op === "enter" ? { member: "ann" } : {});
  const [header, sidebar] = [1, 2].map((): Presence => makePresence(link, "a", unexpected)) as Two;
  await header.enter();
  await sidebar.enter();
  await header.leave();
  await header.enter(undefined, { member: "ann" });
  await sidebar.leave();
  assert.equal(link.calls.filter(({ op }) => op === "leave").length, 0);
  await header.leave();
  assert.deepEqual(link.calls.at(-1), { op: "leave", channel: "a", member: "ann" });
});

Deno.test("presences with different sessions are separate, and each keeps its name", async () => {
  const link = new FakeLink();
  const [one, two] = [1, 2].map((): Presence => makePresence(link, "a", unexpected)) as Two;
  const named = (session: string) => ({ channel: "a", member: "ann", session });
  await one.enter(1, { member: "ann", session: "x" });
  await two.enter(2, { member: "ann", session: "y" });
  await one.enter(3);
  link.lose();
  link.reconnect();
  await until("both are there again", () => link.calls.length === 5);
  await one.enter(4, { session: "z" });
  await two.leave();
  assert.deepEqual(link.calls, [
    { op: "enter", ...named("x"), data: 1 },
    { op: "enter", ...named("y"), data: 2 },
    { op: "enter", ...named("x"), data: 3 },
    { op: "enter", ...named("x"), data: 3 },
    { op: "enter", ...named("y"), data: 2 },
    { op: "leave", ...named("x") },
    { op: "enter", ...named("z"), data: 4 },
    { op: "leave", ...named("y") },
  ]);
});

Deno.test("a named session that the server removed is reported by its own presence", async () => {
  const errors: string[] = [];
  const link = new FakeLink();
  const one = makePresence(link, "a", ({ code }) => errors.push(`one ${code}`));
  const two = makePresence(link, "a", ({ code }) => errors.push(`two ${code}`));
  await one.enter(1, { member: "ann", session: "x" });
  await two.enter(1, { member: "ann", session: "y" });
  link.left.set({ channel: "a", member: "ann", session: "y", reason: "forbidden" });
  assert.deepEqual(errors, ["two forbidden"]);
  await one.leave();
});

Deno.test("the previous data stays if an update is refused", async () => {
  const tooLarge = new WeirError("event_too_large", "Too large.", { status: 413 });
  const link = new FakeLink((call) => {
    if ("data" in call && call.data === "large") throw tooLarge;
    return {};
  });
  const presence = makePresence<string>(link, "a", unexpected);
  await presence.enter("small");
  await assert.rejects(presence.enter("large"), { code: "event_too_large" });
  await presence.leave();
  const said = link.calls.map((call) => "data" in call ? call.data : call.op);
  assert.deepEqual(said, ["small", "large", "small", "leave"]);
});

Deno.test("updates made while one is waiting are sent together and refused together", async () => {
  const link = new FakeLink((call) => {
    if ("data" in call && call.data === "large") throw new WeirError("event_too_large", "No.");
    return {};
  });
  link.lose();
  const [header, sidebar] = [1, 2].map((): Presence<string> =>
    makePresence<string>(link, "a", unexpected)
  ) as Two;
  const entered = [header.enter("a"), sidebar.enter("b"), header.enter("c")];
  link.reconnect();
  await Promise.all(entered);
  assert.deepEqual(link.calls, [{ op: "enter", channel: "a", data: "c" }]);
  const updates = [header.enter("large"), sidebar.enter("large")];
  for (const update of updates) await assert.rejects(update, { code: "event_too_large" });
  await Promise.all([header.leave(), sidebar.leave()]);
  const said = link.calls.slice(1).map((call) => "data" in call ? call.data : call.op);
  assert.deepEqual(said, ["large", "large", "c", "leave"]);
});

Deno.test("a leave is retried after a temporary error, but not without a connection", async () => {
  const refusals = [
    new WeirError("rate_limited", "Slowly.", { status: 429, retryAfter: 1 }),
    new WeirError("overloaded", "Slowly.", { status: 503 }),
  ];
  const link = new FakeLink(({ op }) => {
    const refusal = op === "leave" ? refusals.shift() : undefined;
    if (refusal) throw refusal;
    return {};
  });
  const presence = makePresence(link, "a", unexpected);
  await presence.enter();
  await presence.leave();
  const leaves = () => link.calls.filter(({ op }) => op === "leave").length;
  assert.equal(leaves(), 3);
  await presence.enter();
  refusals.push(new WeirError("unreachable", "Nobody answers."));
  link.lose();
  await presence.leave();
  assert.equal(leaves(), 4);
});

Deno.test("a member that enters again while it is leaving stays", async () => {
  const link = new FakeLink();
  const presence = makePresence(link, "a", unexpected);
  await presence.enter(1);
  const left = presence.leave();
  await presence.enter(2);
  await left;
  link.lose();
  link.reconnect();
  await until("it is there again", () => link.calls.length === 3);
  assert.deepEqual(link.calls.map(({ op }) => op), ["enter", "enter", "enter"]);
});

Deno.test("a member leaves its sessions over HTTP and over the WebSocket", async () => {
  const link: FakeLink = new FakeLink(() => link.calls.length === 1 ? { expiresIn: 60_000 } : {});
  const presence = makePresence(link, "a", unexpected);
  await presence.enter();
  link.reconnect();
  await presence.enter();
  await presence.leave();
  assert.deepEqual(link.calls.slice(-2), [
    { op: "leave", channel: "a", isByHttp: true },
    { op: "leave", channel: "a" },
  ]);
});

Deno.test("a member that the server removed is reported and does not enter again", async () => {
  const errors: string[] = [];
  const link = new FakeLink(({ op }) => op === "enter" ? { member: "ann" } : {});
  const presence = makePresence(link, "a", ({ code }) => errors.push(code));
  await presence.enter();
  link.left.set({ channel: "b", member: "ann", reason: "forbidden" });
  link.left.set({ channel: "a", member: "bob", reason: "forbidden" });
  assert.deepEqual(errors, []);
  link.left.set({ channel: "a", member: "ann", reason: "forbidden" });
  link.left.set({ channel: "a", member: "ann", reason: "forbidden" });
  assert.deepEqual(errors, ["forbidden"]);
  link.lose();
  link.reconnect();
  await presence.leave();
  assert.equal(link.calls.length, 1);
});

Deno.test("a signal ends an enter that is waiting", async () => {
  const link = new FakeLink();
  link.lose();
  const presence = makePresence(link, "a", unexpected);
  const abort = new AbortController();
  const entered = presence.enter(1, { signal: abort.signal });
  abort.abort();
  await assert.rejects(entered, { name: "AbortError" });
  await assert.rejects(presence.enter(1, { signal: abort.signal }), { name: "AbortError" });
  link.reconnect();
  await presence.enter(2);
  await presence.leave();
  const data = link.calls.flatMap((call) => call.op === "enter" ? [call.data] : []);
  assert.deepEqual(data, [2]);
});

type Two = [Presence<unknown>, Presence<unknown>];

function snapshot(members: readonly (readonly [string, number])[], cursor: number) {
  return {
    members: members.map(([member, n]) => ({ member, data: n, since: "now", offset: at(n) })),
    cursor: at(cursor),
  };
}

function change(link: FakeLink, sequence: number, type: string, member: string, data?: string) {
  link.open[0]?.listener.event({
    kind: "event",
    channel: "$presence:a",
    offset: at(sequence),
    id: at(sequence),
    type,
    time: "now",
    contentType: "application/json",
    key: member,
    data: { member, data, since: "now" } as Member,
  });
}

function unexpected(error: WeirError): void {
  throw error;
}
