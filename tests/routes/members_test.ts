import assert from "node:assert/strict";
import type { Member } from "../../lib/presence/member.ts";
import { Problem } from "../../lib/shared/problem.ts";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";
import { callMember, changesOf, membersPath, namesIn, snapshot } from "../support/members.ts";
import { memberIn } from "../support/presence.ts";
import { newChannel } from "../support/publishing.ts";
import { type Reader, READERS, takeEvents } from "../support/readers.ts";
import { SocketClient, type SocketMessage } from "../support/socket_client.ts";
import { until } from "../support/until.ts";

const PRESENCE = { presence: ["**"] };
const YEAR_2000 = Date.UTC(2000, 0);

/** Enters by the socket; the answer. */
async function enter(
  socket: SocketClient,
  channel: string,
  rest: Readonly<Record<string, unknown>> = {},
): Promise<SocketMessage> {
  socket.send({ op: "enter", ref: "e", channel, ...rest });
  return await socket.until("entered");
}

async function leave(socket: SocketClient, channel: string, member?: string): Promise<void> {
  socket.send({ op: "leave", ref: "l", channel, ...member !== undefined && { member } });
  assert.deepEqual(await socket.until("left"), { op: "left", ref: "l" });
}

/** Sends what is to be refused; the code. */
async function refusal(socket: SocketClient, message: SocketMessage): Promise<unknown> {
  socket.send(message);
  const { op, code } = await socket.next();
  assert.equal(op, "error");
  return code;
}

async function openReader(
  transport: string,
  url: string,
  channels: readonly string[],
  after: string,
): Promise<Reader> {
  const open = READERS[transport] ?? assert.fail(`no transport ${transport}`);
  return await open(url, channels, after);
}

Deno.test("a member enters, updates and leaves: the snapshot and the changes say so", async () => {
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
  assert.equal(same["offset"], updated["offset"], "nothing was given, so nothing has changed");
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

Deno.test("a channel where nobody was has an empty snapshot, and a cursor before all changes", async () => {
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

Deno.test("several sessions of a member count once, whatever they are", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using one = await SocketClient.open(server.url);
  await using two = await SocketClient.open(server.url);
  const first = await enter(one, channel, { member: "ann", data: "x" });
  const second = await enter(two, channel, { member: "ann", data: "x" });
  assert.equal(second["offset"], first["offset"]);
  const put = await callMember(server.url, "PUT", { channel, member: "ann", data: "x" });
  assert.equal(put.status, 200, put.text);
  assert.deepEqual(put.json, {
    channel,
    member: "ann",
    offset: first["offset"],
    expiresIn: 20_000,
  });
  await leave(one, channel, "ann");
  await leave(two, channel, "ann");
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann"]);
  const deleted = await callMember(server.url, "DELETE", { channel, member: "ann" });
  assert.equal(deleted.status, 204, deleted.text);
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann", "leave ann"]);
});

Deno.test("a socket that comes back within the grace time neither leaves nor enters", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const before = await SocketClient.open(server.url);
  const { offset } = await enter(before, channel, { member: "ann", data: 1 });
  await before[Symbol.asyncDispose]();
  await until("the socket is gone", () => server.server.sockets.sockets.size === 0);
  assert.deepEqual(await namesIn(server.url, channel), ["ann"]);
  await using after = await SocketClient.open(server.url);
  assert.equal((await enter(after, channel, { member: "ann", data: 1 }))["offset"], offset);
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann"]);
});

Deno.test("leaving twice, or what one never entered, is no fault", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  await leave(socket, channel, "ann");
  assert.equal((await callMember(server.url, "DELETE", { channel, member: "ann" })).status, 204);
  assert.deepEqual(await changesOf(server.url, channel), []);
});

Deno.test("presence needs the right presence, and no other gives it", async (t) => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const changes = `$presence:${channel}`;
  const others = { publish: ["**"], subscribe: ["**", "$presence:**"], manage: ["**"] };
  const headers = bearer(await weir.token(others));
  const eventsPath = `/v1/channels/${encodeURIComponent(changes)}/events`;
  const calls: readonly (readonly [string, string])[] = [
    ["GET", membersPath(channel)],
    ["PUT", membersPath(channel, "ann")],
    ["DELETE", membersPath(channel, "ann")],
    ["GET", eventsPath],
    ["GET", `${eventsPath}?wait=5`],
    ["GET", `/v1/events?channel=${encodeURIComponent(changes)}&channel=${channel}`],
    ["GET", `/v1/channels/${encodeURIComponent(changes)}`],
  ];
  for (const [method, path] of calls) {
    await t.step(`${method} ${path}`, async () => {
      assertRefused(await call(weir.url, path, { method, headers }), 403, "forbidden");
    });
  }
  await t.step("SSE", async () => {
    const accept = { ...headers, Accept: "text/event-stream" };
    assertRefused(await call(weir.url, eventsPath, { headers: accept }), 403, "forbidden");
  });
  await using socket = await SocketClient.open(weir.url, { token: await weir.token(others) });
  for (
    const message of [
      { op: "enter", ref: 1, channel },
      { op: "leave", ref: 1, channel },
      { op: "subscribe", ref: 1, channel: changes },
      { op: "subscribe", ref: 1, channels: [changes, channel] },
    ]
  ) {
    await t.step(message.op, async () => {
      assert.equal(await refusal(socket, message), "forbidden");
    });
  }
});

Deno.test("the right presence is enough for presence, and for nothing else", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const token = await weir.token(PRESENCE);
  const headers = bearer(token);
  await using socket = await SocketClient.open(weir.url, { token });
  socket.send({ op: "subscribe", ref: 1, channel: `$presence:${channel}` });
  await socket.until("subscribed");
  await enter(socket, channel);
  assert.equal((await socket.until("event"))["key"], "ann");
  assert.deepEqual(await namesIn(weir.url, channel, headers), ["ann"]);
  assert.deepEqual(await changesOf(weir.url, channel, headers), ["enter ann"]);
  assert.equal(await refusal(socket, { op: "subscribe", ref: 2, channel }), "forbidden");
  const publish = { op: "publish", ref: 3, channel, data: 1 };
  assert.equal(await refusal(socket, publish), "forbidden");
});

Deno.test("nobody publishes to a presence channel, nor enters the system's channels", async () => {
  await using weir = await guardedLocal();
  const everything = { publish: ["**", "$**"], presence: ["**", "$**"], manage: ["**", "$**"] };
  const token = await weir.token(everything);
  await using socket = await SocketClient.open(weir.url, { token });
  const publish = { op: "publish", ref: 1, channel: "$presence:a", data: 1 };
  assert.equal(await refusal(socket, publish), "channel_reserved");
  for (const channel of ["$presence:a", "$audit"]) {
    assert.equal(await refusal(socket, { op: "enter", ref: 1, channel }), "channel_reserved");
    const method = "DELETE";
    const deleted = await call(weir.url, `/v1/channels/${encodeURIComponent(channel)}`, {
      method,
      headers: bearer(token),
    });
    assertRefused(deleted, 400, "channel_reserved");
  }
});

Deno.test("who has a subject is that member and no other", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const token = await weir.token(PRESENCE, { sub: "bob" });
  await using socket = await SocketClient.open(weir.url, { token });
  assert.equal((await enter(socket, channel))["member"], "bob");
  assert.equal((await enter(socket, channel, { member: "bob" }))["member"], "bob");
  for (const member of ["ann", "~bob", ""]) {
    assert.equal(await refusal(socket, { op: "enter", ref: 1, channel, member }), "forbidden");
    assert.equal(await refusal(socket, { op: "leave", ref: 1, channel, member }), "forbidden");
  }
  const headers = bearer(token);
  const other = await callMember(weir.url, "PUT", { channel, member: "ann", headers });
  assertRefused(other, 403, "forbidden");
  const own = await callMember(weir.url, "PUT", { channel, member: "bob", headers });
  assert.equal(own.status, 200, own.text);
  assert.deepEqual(await namesIn(weir.url, channel, headers), ["bob"]);
});

Deno.test("who has no subject can't pass as one", async (t) => {
  await using weir = await guardedLocal({ WEIR_ANONYMOUS: "presence:**" });
  const noSubject = await weir.token(PRESENCE, { sub: undefined, jti: "t1" });
  for (const [who, token] of [["anonymous", undefined], ["a token without sub", noSubject]]) {
    await t.step(who ?? "", async () => {
      const channel = newChannel();
      await using socket = await SocketClient.open(weir.url, token === undefined ? {} : { token });
      assert.equal((await enter(socket, channel, { member: "ann" }))["member"], "~ann");
      assert.equal(await refusal(socket, { op: "enter", ref: 1, channel }), "bad_member");
      const headers = token === undefined ? {} : bearer(token);
      const put = await callMember(weir.url, "PUT", { channel, member: "ann", headers });
      assert.equal(put.json.member, "~ann");
      assert.deepEqual(await namesIn(weir.url, channel, headers), ["~ann"]);
      await leave(socket, channel, "ann");
    });
  }
});

Deno.test("nobody without a subject can be what a token's subject is, whatever that is", async () => {
  await using weir = await guardedLocal({ WEIR_ANONYMOUS: "presence:**" });
  const channel = newChannel();
  await using anonymous = await SocketClient.open(weir.url);
  assert.equal(
    await refusal(anonymous, { op: "enter", ref: 1, channel, member: "" }),
    "bad_member",
  );
  assert.equal((await enter(anonymous, channel, { member: "ann" }))["member"], "~ann");
  const token = await weir.token(PRESENCE, { sub: "~ann" });
  await using named = await SocketClient.open(weir.url, { token });
  for (const rest of [{}, { member: "~ann" }]) {
    assert.equal(await refusal(named, { op: "enter", ref: 1, channel, ...rest }), "bad_member");
  }
  const headers = bearer(token);
  const put = await callMember(weir.url, "PUT", { channel, member: "~ann", headers });
  assertRefused(put, 400, "bad_member");
  anonymous.send({ op: "auth", ref: 1, token });
  assert.deepEqual(await anonymous.next(), {
    op: "left",
    channel,
    member: "~ann",
    reason: "forbidden",
  });
});

Deno.test("an API key may be any member, and says which", async () => {
  await using weir = await guardedLocal();
  const admin = bearer(await weir.token({ admin: true }));
  const made = await call(weir.url, "/v1/keys", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...admin },
    body: JSON.stringify(PRESENCE),
  });
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url, { token: made.json.key });
  assert.equal((await enter(socket, channel, { member: "ann" }))["member"], "ann");
  assert.equal((await enter(socket, channel, { member: "bob" }))["member"], "bob");
  assert.equal(await refusal(socket, { op: "enter", ref: 1, channel }), "bad_member");
});

Deno.test("what is no member, data or session is refused", async (t) => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  const messages: Readonly<Record<string, readonly [SocketMessage, string]>> = {
    "no member": [{ op: "enter", ref: 1, channel }, "bad_member"],
    "an empty member": [{ op: "enter", ref: 1, channel, member: "" }, "bad_member"],
    "a long member": [{ op: "enter", ref: 1, channel, member: "m".repeat(257) }, "bad_member"],
    "a control character": [{ op: "enter", ref: 1, channel, member: "a\nb" }, "bad_member"],
    "half a character": [{ op: "enter", ref: 1, channel, member: "\ud800" }, "bad_member"],
    "much data": [
      { op: "enter", ref: 1, channel, member: "a", data: "x".repeat(1_023) },
      "event_too_large",
    ],
    "no ref": [{ op: "enter", channel, member: "a" }, "bad_message"],
    "a number": [{ op: "enter", ref: 1, channel, member: 7 }, "bad_message"],
    "no channel": [{ op: "leave", ref: 1, member: "a" }, "bad_message"],
    "something else": [{ op: "leave", ref: 1, channel, member: "a", data: 1 }, "bad_message"],
    "a long channel": [
      { op: "enter", ref: 1, channel: "c".repeat(247), member: "a" },
      "bad_channel",
    ],
    "no channel's name": [{ op: "enter", ref: 1, channel: "", member: "a" }, "bad_channel"],
  };
  for (const [what, [message, code]] of Object.entries(messages)) {
    await t.step(what, async () => assert.equal(await refusal(socket, message), code));
  }
  const put = (path: string, body = "{}") => call(server.url, path, { method: "PUT", body });
  const path = membersPath(channel, "ann");
  const requests: Readonly<Record<string, readonly [() => ReturnType<typeof put>, string]>> = {
    "no session": [() => put(path.replace(/\?.*/, "")), "bad_parameter"],
    "an odd session": [() => put(membersPath(channel, "ann", "a b")), "bad_parameter"],
    "a long session": [() => put(membersPath(channel, "ann", "s".repeat(65))), "bad_parameter"],
    "another parameter": [() => put(`${path}&x=1`), "unknown_parameter"],
    "no JSON": [() => put(path, "{"), "bad_json"],
    "a list": [() => put(path, "[]"), "bad_body"],
    "other members": [() => put(path, `{"member":"ann"}`), "bad_body"],
    "bytes that are no text": [() => put(`/v1/channels/a/members/%ff?session=s`), "bad_member"],
    "a control character in the path": [() => put(membersPath(channel, "a\u0007")), "bad_member"],
    "a channel that is too long": [
      () => call(server.url, membersPath("c".repeat(247))),
      "bad_channel",
    ],
    "a query for the snapshot": [
      () => call(server.url, `${membersPath(channel)}?limit=1`),
      "unknown_parameter",
    ],
  };
  for (const [what, [ask, code]] of Object.entries(requests)) {
    await t.step(what, async () => assertRefused(await ask(), 400, code as "bad_body"));
  }
  await t.step("much data over HTTP", async () => {
    const data = "é".repeat(512);
    const answer = await callMember(server.url, "PUT", { channel, member: "ann", data });
    assertRefused(answer, 413, "event_too_large");
  });
  await t.step("another method", async () => {
    assertRefused(await call(server.url, path, { method: "POST" }), 405, "method_not_allowed");
    assertRefused(await call(server.url, path), 405, "method_not_allowed");
  });
  assert.deepEqual(await changesOf(server.url, channel), []);
});

Deno.test("the longest names and the largest data are taken", async () => {
  await using server = await LocalServer.start();
  const channel = "c".repeat(246);
  const member = "m".repeat(256);
  const data = "x".repeat(1_022);
  await using socket = await SocketClient.open(server.url);
  await enter(socket, channel, { member, data });
  const { members } = await snapshot(server.url, channel);
  assert.deepEqual(members.map(({ member, data }) => ({ member, data })), [{ member, data }]);
  const odd = ["a/b", "ü", "?", "a b", "%41", "\\", `"`];
  for (const member of odd) {
    assert.equal((await callMember(server.url, "PUT", { channel: "odd", member })).status, 200);
  }
  assert.deepEqual(await namesIn(server.url, "odd"), odd.toSorted());
});

Deno.test("numbers that a double can't hold keep their digits", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  socket.sendText(
    `{"op":"enter","ref":1,"channel":"${channel}","member":"a","data":12345678901234567890}`,
  );
  await socket.until("entered");
  assert.match((await call(server.url, membersPath(channel))).text, /"data":12345678901234567890,/);
});

Deno.test("a socket is a hundred members at the most", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  for (let i = 0; i < 100; i++) await enter(socket, channel, { member: `m${i}` });
  const more = { op: "enter", ref: 1, channel, member: "one too many" };
  assert.equal(await refusal(socket, more), "too_many_channels");
  await enter(socket, channel, { member: "m1", data: "still an update" });
  await leave(socket, channel, "m99");
  await enter(socket, channel, { member: "another" });
});

Deno.test("entering, updating and renewing count as publishes", async () => {
  await using weir = await guardedLocal();
  const limited = { ...PRESENCE, limits: { publishes: 0 } };
  const token = await weir.token(limited);
  await using socket = await SocketClient.open(weir.url, { token });
  const channel = newChannel();
  assert.equal(await refusal(socket, { op: "enter", ref: 1, channel }), "rate_limited");
  const headers = bearer(token);
  const put = await callMember(weir.url, "PUT", { channel, member: "ann", headers });
  assertRefused(put, 429, "rate_limited");
});

Deno.test("sessions over HTTP count as connections while they last", async () => {
  await using weir = await guardedLocal();
  const headers = bearer(await weir.token({ ...PRESENCE, limits: { connections: 2 } }));
  const channel = newChannel();
  const put = (session: string) =>
    callMember(weir.url, "PUT", { channel, member: "ann", session, headers });
  for (const session of ["a", "b", "a"]) assert.equal((await put(session)).status, 200);
  assertRefused(await put("c"), 429, "too_many_connections");
  const gone = { channel, member: "ann", session: "a", headers };
  assert.equal((await callMember(weir.url, "DELETE", gone)).status, 204);
  assert.equal((await put("c")).status, 200);
});

Deno.test("who loses the right leaves, and is told", async () => {
  await using weir = await guardedLocal();
  const [kept, lost] = [newChannel(), newChannel()];
  const watcher = bearer(await weir.token(PRESENCE, { sub: "watcher" }));
  const token = await weir.token(PRESENCE);
  await using socket = await SocketClient.open(weir.url, { token });
  socket.send({ op: "subscribe", ref: 1, channel: `$presence:${lost}` });
  await socket.until("subscribed");
  await enter(socket, kept);
  await enter(socket, lost);
  await socket.until("event");
  socket.send({ op: "auth", ref: 2, token: await weir.token({ presence: [kept] }) });
  assert.deepEqual(await socket.until("unsubscribed"), {
    op: "unsubscribed",
    channel: `$presence:${lost}`,
    reason: "forbidden",
  });
  assert.deepEqual(await socket.until("left"), {
    op: "left",
    channel: lost,
    member: "ann",
    reason: "forbidden",
  });
  await socket.until("authenticated");
  await until("the member has left", async () => {
    return (await changesOf(weir.url, lost, watcher)).includes("leave ann");
  });
  assert.deepEqual(await namesIn(weir.url, kept, watcher), ["ann"]);
});

Deno.test("who loses the right while it enters is not told that it is there", async () => {
  await using weir = await guardedLocal();
  const { presence } = weir.server.server;
  const enterAtOnce = presence.join.bind(presence);
  const held = Promise.withResolvers<void>();
  presence.join = async (...args) => {
    const offset = await enterAtOnce(...args);
    await held.promise;
    return offset;
  };
  const channel = newChannel();
  const wide = await weir.token(PRESENCE);
  await using socket = await SocketClient.open(weir.url, { token: wide });
  const none = await weir.token({ subscribe: ["**"] });
  socket.send({ op: "enter", ref: "e", channel }, { op: "auth", token: none });
  await socket.until("left");
  await socket.until("authenticated");
  held.resolve();
  const { op, ref, code } = await socket.next();
  assert.deepEqual({ op, ref, code }, { op: "error", ref: "e", code: "forbidden" });
  await until("it has left", async () => {
    return (await namesIn(weir.url, channel, bearer(wide))).length === 0;
  });
  socket.send({ op: "auth", token: wide });
  await socket.until("authenticated");
  assert.equal((await enter(socket, channel))["member"], "ann");
});

Deno.test("a socket that is refused once and then let in is in until it ends", async () => {
  await using server = await LocalServer.start();
  const { presence } = server.server;
  const enterAtOnce = presence.join.bind(presence);
  presence.join = async (session, member, data) => {
    if (data === `"refused"`) {
      await Promise.resolve();
      throw new Problem("overloaded", "Too many of something.");
    }
    return await enterAtOnce(session, member, data);
  };
  const lost: Member[] = [];
  presence.disconnect = (_, member) => void lost.push(member);
  const channel = newChannel();
  const enter = (data: string) => ({ op: "enter", ref: data, channel, member: "ann", data });
  const socket = await SocketClient.open(server.url);
  socket.send(enter("refused"), enter("taken"));
  assert.equal((await socket.next()).op, "error");
  assert.equal((await socket.next()).op, "entered");
  await socket[Symbol.asyncDispose]();
  await until("the member is lost", () => lost.length > 0);
  assert.deepEqual(lost, [memberIn(channel, "ann")]);
});

Deno.test("an anonymous member that says who it is doesn't stay under its other name", async () => {
  await using weir = await guardedLocal({ WEIR_ANONYMOUS: "presence:**" });
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url);
  await enter(socket, channel, { member: "guest" });
  const elsewhere = await weir.token({ ...PRESENCE, tenant: "other" });
  const auth = { op: "auth", ref: 1, token: elsewhere };
  assert.equal(await refusal(socket, auth), "forbidden", "a member of one tenant stays there");
  socket.send({ op: "auth", ref: 2, token: await weir.token(PRESENCE) });
  assert.equal((await socket.until("left"))["member"], "~guest");
  await socket.until("authenticated");
  assert.equal((await enter(socket, channel))["member"], "ann");
});

Deno.test("the presence of two tenants has nothing to do with each other", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  for (const tenant of ["a", "b"]) {
    const headers = bearer(await weir.token({ ...PRESENCE, tenant }, { sub: `of-${tenant}` }));
    const member = `of-${tenant}`;
    assert.equal((await callMember(weir.url, "PUT", { channel, member, headers })).status, 200);
    assert.deepEqual(await namesIn(weir.url, channel, headers), [member]);
    assert.deepEqual(await changesOf(weir.url, channel, headers), [`enter ${member}`]);
  }
});

Deno.test("a presence channel is read but not listed, counts for its tenant, and keeps an hour", async () => {
  await using weir = await guardedLocal({ WEIR_TENANT_CHANNELS: "1" });
  const rights = { ...PRESENCE, subscribe: ["**", "$**"], manage: ["**", "$**"] };
  const headers = bearer(await weir.token(rights));
  const put = (channel: string) => callMember(weir.url, "PUT", { channel, member: "ann", headers });
  assert.equal((await put("a")).status, 200);
  assertRefused(await put("b"), 403, "tenant_limit");
  const list = await call(weir.url, "/v1/channels", { headers });
  assert.deepEqual(list.json, { channels: [], next: null });
  const { json } = await call(weir.url, "/v1/channels/%24presence%3Aa", { headers });
  assert.equal(json.channel, "$presence:a");
  assert.deepEqual([json.retention.age, json.retention.events], [3_600, 10_000]);
});

Deno.test("the list goes on behind any number of presence channels", async () => {
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

Deno.test("deleting a channel leaves its presence alone", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await callMember(server.url, "PUT", { channel, member: "ann" });
  const path = `/v1/channels/${channel}`;
  await call(server.url, path, { method: "PUT", body: "{}" });
  assert.equal((await call(server.url, path, { method: "DELETE" })).status, 204);
  assert.deepEqual(await namesIn(server.url, channel), ["ann"]);
  assert.deepEqual(await changesOf(server.url, channel), ["enter ann"]);
});

Deno.test("a channel has a thousand members, each once, and not one more", async () => {
  await using server = await LocalServer.start();
  const { presence } = server.server;
  const channel = newChannel();
  const who = (i: number): Member => memberIn(channel, `member ${String(i).padStart(4, "0")}`);
  const answers = await Promise.allSettled(
    Array.from({ length: 1_100 }, (_, i) => presence.join(`session ${i}`, who(i), `${i}`)),
  );
  const refused = answers.filter(({ status }) => status === "rejected");
  assert.equal(refused.length, 100);
  for (const answer of refused) {
    assert.equal(answer.status === "rejected" && answer.reason.code, "presence_full");
  }
  const { members } = await snapshot(server.url, channel);
  assert.equal(members.length, 1_000);
  assert.equal(new Set(members.map(({ member }) => member)).size, 1_000);
  const full = await callMember(server.url, "PUT", { channel, member: "late" });
  assertRefused(full, 403, "presence_full");
  const there = answers.findIndex(({ status }) => status === "fulfilled");
  await presence.leave(`session ${there}`, who(there));
  assert.equal((await callMember(server.url, "PUT", { channel, member: "late" })).status, 200);
});

Deno.test("a server that stops refuses who would enter", async () => {
  const server = await LocalServer.start();
  const { presence } = server.server;
  await presence.join("s", memberIn("a", "ann"));
  await server[Symbol.asyncDispose]();
  await assert.rejects(presence.join("s", memberIn("a", "bob")), /shutting_down/);
});
