import assert from "node:assert/strict";
import { type Member } from "../../lib/presence/member.ts";
import { Problem } from "../../lib/shared/problem.ts";
import { call } from "../support/calls.ts";
import { LocalServer } from "../support/local_server.ts";
import {
  callMember,
  changesOf,
  enter,
  leave,
  membersPath,
  namesIn,
  openReader,
  refusal,
  snapshot,
} from "../support/members.ts";
import { memberIn } from "../support/presence.ts";
import { newChannel } from "../support/publishing.ts";
import { readAll, takeEvents } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { until } from "../support/until.ts";

const YEAR_2000 = Date.UTC(2000, 0);

Deno.test("joins, updates and leaves appear in the snapshot and in the changes", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  const entered = await enter(socket, channel, { member: "ann", data: { at: 1 } });
  assert.deepEqual(entered, {
    op: "entered",
    ref: "e",
    channel,
    member: "ann",
    offset: entered["offset"],
  });
  const { members: [ann], cursor } = await snapshot(server.url, channel);
  assert.ok(ann);
  assert.deepEqual(ann, {
    member: "ann",
    data: { at: 1 },
    since: ann.since,
    offset: entered["offset"],
  });
  assert.ok(Date.parse(ann.since) > YEAR_2000);
  assert.equal(cursor, entered["offset"]);
  const updated = await enter(socket, channel, { member: "ann", data: { at: 2 } });
  assert.ok(String(updated["offset"]) > String(entered["offset"]));
  const same = await enter(socket, channel, { member: "ann" });
  assert.equal(same["offset"], updated["offset"], "without data nothing changes");
  await leave(socket, channel, "ann");
  assert.deepEqual((await snapshot(server.url, channel)).members, []);
  await using reader = await openReader("SSE", server.url, [`$presence:${channel}`], cursor);
  const changes = await takeEvents(reader, 2);
  assert.deepEqual(changes.map(({ type, key, data }) => ({ type, key, data })), [
    {
      type: "update",
      key: "ann",
      data: { member: "ann", data: { at: 2 }, since: ann.since },
    },
    { type: "leave", key: "ann", data: { member: "ann", since: ann.since } },
  ]);
});

Deno.test("a channel without members has an empty snapshot, and a cursor before all changes", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const { members, cursor } = await snapshot(server.url, channel);
  assert.deepEqual(members, []);
  await using socket = await SocketClient.open(server.url);
  await enter(socket, channel, { member: "ann" });
  await using reader = await openReader("long poll", server.url, [`$presence:${channel}`], cursor);
  const [change] = await takeEvents(reader, 1);
  assert.deepEqual([change?.type, change?.data], ["enter", {
    member: "ann",
    data: null,
    since: (change?.data as { since: string }).since,
  }]);
});

Deno.test("several sessions of a member, over WebSocket and HTTP, count once", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using one = await SocketClient.open(server.url);
  await using two = await SocketClient.open(server.url);
  const first = await enter(one, channel, { member: "ann", data: "x" });
  const second = await enter(two, channel, { member: "ann", data: "x" });
  assert.equal(second["offset"], first["offset"]);
  const put = await callMember(server.url, "PUT", { channel, member: "ann", data: "x" });
  assert.equal(put.status, 200, put.text);
  const { members: [ann] } = await snapshot(server.url, channel);
  assert.deepEqual(ann?.sessions, ["s"], "a session over HTTP has a name");
  assert.deepEqual(put.json, {
    channel,
    member: "ann",
    offset: ann?.offset,
    expiresIn: 20_000,
  });
  await leave(one, channel, "ann");
  await leave(two, channel, "ann");
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann", "update ann"]);
  const deleted = await callMember(server.url, "DELETE", { channel, member: "ann" });
  assert.equal(deleted.status, 204, deleted.text);
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann", "update ann", "leave ann"]);
});

Deno.test("a socket that reconnects within the grace period causes no events", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const before = await SocketClient.open(server.url);
  const { offset } = await enter(before, channel, { member: "ann", data: 1 });
  await before[Symbol.asyncDispose]();
  await until("the socket is closed", () => server.server.sockets.sockets.size === 0);
  assert.deepEqual(await namesIn(server.url, channel), ["ann"]);
  await using after = await SocketClient.open(server.url);
  assert.equal((await enter(after, channel, { member: "ann", data: 1 }))["offset"], offset);
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann"]);
});

Deno.test("leaving twice, or without having joined, is not an error", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  await leave(socket, channel, "ann");
  assert.equal((await callMember(server.url, "DELETE", { channel, member: "ann" })).status, 204);
  assert.deepEqual(await changesOf(server.url, channel), []);
});

Deno.test("numbers that a double cannot hold keep their digits", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  socket.sendText(
    `{"op":"enter","ref":1,"channel":"${channel}","member":"a","data":12345678901234567890}`,
  );
  await socket.until("entered");
  assert.match((await call(server.url, membersPath(channel))).text, /"data":12345678901234567890,/);
});

Deno.test("a socket that is refused once and then accepted is present until it closes", async () => {
  await using server = await LocalServer.start();
  const { presence } = server.server;
  const joinAtOnce = presence.join.bind(presence);
  presence.join = async (session, member, data) => {
    if (data === `"refused"`) {
      await Promise.resolve();
      throw new Problem("overloaded", "Too many of something.");
    }
    return await joinAtOnce(session, member, data);
  };
  const disconnected: Member[] = [];
  presence.disconnect = (_, member) => void disconnected.push(member);
  const channel = newChannel();
  const enter = (data: string) => ({ op: "enter", ref: data, channel, member: "ann", data });
  const socket = await SocketClient.open(server.url);
  socket.send(enter("refused"), enter("taken"));
  assert.equal((await socket.next()).op, "error");
  assert.equal((await socket.next()).op, "entered");
  await socket[Symbol.asyncDispose]();
  await until("the member is disconnected", () => disconnected.length > 0);
  assert.deepEqual(disconnected, [memberIn(channel, "ann")]);
});

Deno.test("pages of the channel list skip any number of presence channels", async () => {
  await using server = await LocalServer.start();
  for (let i = 0; i < 5; i++) {
    await callMember(server.url, "PUT", { channel: `room ${i}`, member: "ann" });
  }
  for (const name of ["a", "b"]) {
    await call(server.url, `/v1/channels/${name}`, {
      method: "PUT",
      body: "{}",
    });
  }
  const names: string[] = [];
  for (let after = "";;) {
    const { json } = await call(server.url, `/v1/channels?limit=1&after=${after}`);
    names.push(...json.channels.map(({ channel }: { channel: string }) => channel));
    if (json.next === null) break;
    after = json.next;
  }
  assert.deepEqual(names, ["a", "b"]);
});

Deno.test("deleting a channel does not change its presence", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await callMember(server.url, "PUT", { channel, member: "ann" });
  const path = `/v1/channels/${channel}`;
  await call(server.url, path, { method: "PUT", body: "{}" });
  assert.equal((await call(server.url, path, { method: "DELETE" })).status, 204);
  assert.deepEqual(await namesIn(server.url, channel), ["ann"]);
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann"]);
});

Deno.test("a stopping server rejects joins", async () => {
  const server = await LocalServer.start();
  const { presence } = server.server;
  await presence.join("s", memberIn("a", "ann"));
  await server[Symbol.asyncDispose]();
  await assert.rejects(presence.join("s", memberIn("a", "bob")), /shutting_down/);
});

Deno.test("one socket has several named sessions of a member, and leaves them one by one", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  const sessions = async () => {
    const { members } = await snapshot(server.url, channel);
    return members.map((member) => member.sessions);
  };
  await enter(socket, channel, { member: "ann", data: 1, session: "tab-2" });
  await enter(socket, channel, { member: "ann", session: "tab-1" });
  assert.deepEqual(await sessions(), [["tab-1", "tab-2"]]);
  await enter(socket, channel, { member: "ann" });
  await leave(socket, channel, "ann", "tab-2");
  assert.deepEqual(await sessions(), [["tab-1"]]);
  await leave(socket, channel, "ann", "tab-1");
  assert.deepEqual(await sessions(), [undefined]);
  await leave(socket, channel, "ann");
  const events = await readAll(server.url, `$presence:${channel}`);
  const seen = events.map(({ type, data }) => {
    return [type, (data as { sessions?: unknown }).sessions];
  });
  assert.deepEqual(seen, [
    ["enter", ["tab-2"]],
    ["update", ["tab-1", "tab-2"]],
    ["update", ["tab-1"]],
    ["update", undefined],
    ["leave", undefined],
  ]);
});

Deno.test("a named session that reconnects within the grace period causes no events", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const before = await SocketClient.open(server.url);
  const { offset } = await enter(before, channel, { member: "ann", session: "x" });
  await before[Symbol.asyncDispose]();
  await until("the socket is closed", () => server.server.sockets.sockets.size === 0);
  const { members: [ann] } = await snapshot(server.url, channel);
  assert.deepEqual(ann?.sessions, ["x"]);
  await using after = await SocketClient.open(server.url);
  const entered = await enter(after, channel, { member: "ann", session: "x" });
  assert.equal(entered["offset"], offset);
  await leave(after, channel, "ann", "x");
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann", "leave ann"]);
});

Deno.test("a session that another one of the same name has replaced leaves with it", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using half = await SocketClient.open(server.url);
  await using open = await SocketClient.open(server.url);
  await enter(half, channel, { member: "ann", session: "x" });
  await enter(open, channel, { member: "ann", session: "x" });
  const put = await callMember(server.url, "PUT", { channel, member: "ann", session: "x" });
  assert.equal(put.status, 200, put.text);
  await leave(open, channel, "ann", "x");
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann", "leave ann"]);
});

Deno.test("a session name that is not one is refused", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  for (const session of ["", "a b", "é", "x".repeat(65), 1, null, ["x"]]) {
    for (const op of ["enter", "leave"]) {
      const message = { op, ref: 1, channel, member: "ann", session };
      assert.equal(await refusal(socket, message), "bad_message", `${op} ${session}`);
    }
  }
  assert.deepEqual(await namesIn(server.url, channel), []);
});

Deno.test("a socket that has several sessions of a member publishes as that member", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  await enter(socket, channel, { member: "ann", session: "x" });
  await enter(socket, channel, { member: "ann", session: "y" });
  socket.send({ op: "publish", ref: 1, channel, data: 1 });
  await socket.until("ack");
  const [event] = await readAll(server.url, channel);
  assert.equal(event?.publisher, "ann");
});
