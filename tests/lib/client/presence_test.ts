import assert from "node:assert/strict";
import type { Member } from "../../../lib/client/api.ts";
import { makePresence } from "../../../lib/client/presence.ts";
import { WeirError } from "../../../lib/client/weir_error.ts";
import { epochAt, formatOffset } from "../../../lib/shared/offset.ts";
import { FakeLink } from "../../support/fake_link.ts";
import { until } from "../../support/until.ts";

const at = (sequence: number) => formatOffset(epochAt(1), sequence);

Deno.test("members are the snapshot and then the changes that are not in it", async () => {
  const link = new FakeLink(() => snapshot([["ann", 1], ["bob", 4]], 3));
  const { members } = makePresence<string>(link, "room/1", unexpected);
  const seen: string[][] = [];
  const end = members.subscribe((now) => seen.push(now.map(({ member, data }) => member + data)));
  await until("it reads the changes", () => link.open.length === 1);
  assert.deepEqual(link.calls, [{ op: "get", path: "/v1/channels/room%2F1/members" }]);
  const [feed] = link.open;
  assert.deepEqual([feed?.channel, feed?.after], ["$presence:room/1", at(3)]);
  await until("the snapshot is told", () => seen.length === 1);
  change(link, 4, "enter", "bob", "old"); // in the snapshot already
  change(link, 5, "enter", "cy", "!");
  change(link, 6, "update", "ann", "?");
  change(link, 7, "leave", "bob");
  await until("the changes are told", () => seen.length === 2);
  assert.deepEqual(seen, [["ann1", "bob4"], ["ann?", "cy!"]]);
  assert.deepEqual(members.value.map(({ member }) => member), ["ann", "cy"]);

  end();
  end();
  await until("it stops reading", () => link.open.length === 0);
});

Deno.test("a gap in the changes, or a lost snapshot, is mended by another snapshot", async () => {
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
  await until("the snapshot was asked for in vain", () => calls === 2);
  await new Promise((resolve) => setTimeout(resolve, 0));
  link.reconnect();
  await until("it goes on", () => members.value[0]?.member === "bob");
  assert.deepEqual(link.open.map(({ after }) => after), [at(9)]);
  end();
});

Deno.test("who listens again gets a new snapshot, and who may not is told", async () => {
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
  await until("it was told", () => errors.length === 1);
  end();
  members.subscribe(() => {});
  await until("it was told again", () => errors.length === 2);
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

Deno.test("another member in its place leaves first", async () => {
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

Deno.test("a membership with an end is renewed before it, and not after leaving", async () => {
  const link = new FakeLink(() => ({ expiresIn: 2 }));
  const presence = makePresence(link, "a", unexpected);
  await presence.enter();
  await until("it was renewed", () => link.calls.length >= 4);
  await presence.leave();
  const { length } = link.calls;
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(link.calls.length, length);
});

Deno.test("entering waits for the connection, and is refused when that is for good", async () => {
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
  await until("the refusal is told", () => errors.length > 0);
  assert.deepEqual([errors, link.calls.length], [["presence_full"], calls + 1]);
  await assert.rejects(presence.enter(), { code: "presence_full" });
  link.lose();
  link.reconnect();
  await link.close();
  await assert.rejects(presence.enter(), { code: "closed" });
  assert.deepEqual(errors, ["presence_full"]);
});

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
