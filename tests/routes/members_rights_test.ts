import assert from "node:assert/strict";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import {
  callMember,
  changesOf,
  enter,
  leave,
  membersPath,
  namesIn,
  refusal,
  snapshot,
} from "../support/members.ts";
import { newChannel } from "../support/publishing.ts";
import { SocketClient } from "../support/socket_client.ts";
import { until } from "../support/until.ts";

const PRESENCE = { presence: ["**"] };

Deno.test("presence requires the right presence, and no other right grants it", async (t) => {
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

Deno.test("the right presence grants presence and nothing else", async () => {
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

Deno.test("rejects publishing to a presence channel and joining a system channel", async () => {
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

Deno.test("a token with a subject can only be that member", async () => {
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

Deno.test("a client without a subject cannot pass as one", async (t) => {
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

Deno.test("no client without a subject can have the name of a token's subject", async () => {
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

Deno.test("an API key may be any member, and must name it", async () => {
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

Deno.test("each named session whose credential loses the right leaves, and its socket gets `left`", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const watcher = bearer(await weir.token(PRESENCE, { sub: "watcher" }));
  await using other = await SocketClient.open(weir.url, { token: await weir.token(PRESENCE) });
  await enter(other, channel, { session: "y" });
  await using socket = await SocketClient.open(weir.url, { token: await weir.token(PRESENCE) });
  await enter(socket, channel, { session: "x" });
  await enter(socket, channel, { session: "y" });
  const read = await weir.token({ subscribe: ["*"] });
  socket.send({ op: "auth", ref: 2, token: read });
  for (const session of ["x", "y"]) {
    assert.deepEqual(await socket.until("left"), {
      op: "left",
      channel,
      member: "ann",
      session,
      reason: "forbidden",
    });
  }
  await socket.until("authenticated");
  // The session of another socket, whose credential has the right, keeps its name.
  await until("the session has left", async () => {
    const { members: [ann] } = await snapshot(weir.url, channel, watcher);
    return `${ann?.sessions}` === "y";
  });
  assert.equal(await refusal(socket, { op: "leave", ref: 3, channel, session: "y" }), "forbidden");
});

Deno.test("a member whose credential loses the right leaves, and its socket gets `left`", async () => {
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

Deno.test("a member that loses the right while it joins gets an error and leaves", async () => {
  await using weir = await guardedLocal();
  const { presence } = weir.server.server;
  const joinAtOnce = presence.join.bind(presence);
  const held = Promise.withResolvers<void>();
  presence.join = async (...args) => {
    const offset = await joinAtOnce(...args);
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

Deno.test("an anonymous member that authenticates leaves under its anonymous name", async () => {
  await using weir = await guardedLocal({ WEIR_ANONYMOUS: "presence:**" });
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url);
  await enter(socket, channel, { member: "guest" });
  const elsewhere = await weir.token({ ...PRESENCE, tenant: "other" });
  const auth = { op: "auth", ref: 1, token: elsewhere };
  assert.equal(
    await refusal(socket, auth),
    "forbidden",
    "a socket with members cannot change its tenant",
  );
  socket.send({ op: "auth", ref: 2, token: await weir.token(PRESENCE) });
  assert.equal((await socket.until("left"))["member"], "~guest");
  await socket.until("authenticated");
  assert.equal((await enter(socket, channel))["member"], "ann");
});

Deno.test("each tenant has its own presence", async () => {
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
