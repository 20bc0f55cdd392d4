import assert from "node:assert/strict";
import { MAX_SIGNAL_BYTES } from "../../lib/rtc/signal.ts";
import { assertRefused, call } from "../support/calls.ts";
import { LocalServer } from "../support/local_server.ts";
import { callMember, enter, leave, refusal } from "../support/members.ts";
import { newChannel } from "../support/publishing.ts";
import { readAll, READERS, takeEvents } from "../support/readers.ts";
import { inboxName, postSignal, signalOf } from "../support/signals.ts";
import { SocketClient } from "../support/socket_client.ts";

Deno.test("a signal over the socket arrives in the inbox of its session, stamped by the server", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using ann = await SocketClient.open(weir.url);
  await using bob = await SocketClient.open(weir.url);
  await enter(ann, channel, { member: "ann", session: "a1" });
  await enter(bob, channel, { member: "bob/ö", session: "b1" });
  const inbox = inboxName(channel, "bob/ö", "b1");
  bob.send({ op: "subscribe", ref: 1, channel: inbox });
  await bob.until("subscribed");
  const signal = { op: "signal", ref: "s", channel, member: "ann", session: "a1", to: "bob/ö" };
  const data = { description: { type: "offer", sdp: "v=0\r\n" } };
  ann.send({ ...signal, toSession: "b1", data });
  assert.deepEqual(await ann.until("ack"), { op: "ack", ref: "s", sessions: ["b1"] });
  const event = await bob.until("event");
  assert.deepEqual(event["data"], {
    from: "ann",
    fromSession: "a1",
    to: "bob/ö",
    toSession: "b1",
    data,
  });
  assert.deepEqual([event["channel"], event["type"]], [inbox, "signal"]);
  assert.equal(event["publisher"], "ann");
  const left = Date.parse(String(event["expiresAt"])) - Date.parse(String(event["time"]));
  assert.equal(left, 60_000);
});

Deno.test("a signal without a session goes to all sessions of the member", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using ann = await SocketClient.open(weir.url);
  await enter(ann, channel, { member: "ann", session: "a1" });
  await enter(ann, channel, { member: "bob", session: "b1" });
  await enter(ann, channel, { member: "bob", session: "b2" });
  const answer = await callMember(weir.url, "PUT", { channel, member: "bob", session: "b3" });
  assert.equal(answer.status, 200);
  ann.send({ op: "signal", ref: 1, channel, member: "ann", session: "a1", to: "bob", data: 1 });
  assert.deepEqual((await ann.until("ack"))["sessions"], ["b1", "b2", "b3"]);
  for (const session of ["b1", "b2", "b3"]) {
    const events = await readAll(weir.url, inboxName(channel, "bob", session));
    assert.deepEqual(events.map(signalOf), [["ann", "a1", 1]]);
  }
});

Deno.test("a signal over HTTP does the same, and reaches every transport", async (t) => {
  await using weir = await LocalServer.start();
  for (const [transport, open] of Object.entries(READERS)) {
    await t.step(transport, async () => {
      const channel = newChannel();
      for (const [member, session] of [["ann", "a1"], ["bob", "b1"]] as const) {
        await callMember(weir.url, "PUT", { channel, member, session });
      }
      await using reader = await open(weir.url, [inboxName(channel, "bob", "b1")]);
      const signal = { channel, member: "ann", session: "a1", to: "bob", toSession: "b1" };
      for (const data of [1, 2]) {
        const answer = await postSignal(weir.url, { ...signal, data });
        assert.deepEqual([answer.status, answer.json], [200, { sessions: ["b1"] }]);
      }
      const events = await takeEvents(reader, 2);
      assert.deepEqual(events.map(signalOf), [["ann", "a1", 1], ["ann", "a1", 2]]);
    });
  }
});

Deno.test("only a member with this session can send", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url);
  await enter(socket, channel, { member: "bob", session: "b1" });
  await enter(socket, channel, { member: "ann" });
  const signal = { op: "signal", ref: 1, channel, to: "bob", data: 1 };
  assert.equal(await refusal(socket, { ...signal, member: "eve" }), "not_a_member");
  assert.equal(await refusal(socket, { ...signal, member: "ann", session: "a1" }), "not_a_member");
  assert.equal(await refusal(socket, { ...signal, member: "bob" }), "not_a_member");
  assertRefused(
    await postSignal(weir.url, { channel, member: "ann", session: "b1", to: "bob", data: 1 }),
    409,
    "not_a_member",
  );
  // A session without a name sends without one.
  socket.send({ ...signal, member: "ann" });
  assert.deepEqual((await socket.until("ack"))["sessions"], ["b1"]);
  const events = await readAll(weir.url, inboxName(channel, "bob", "b1"));
  assert.deepEqual(events.map(signalOf), [["ann", undefined, 1]]);
  await leave(socket, channel, "ann");
  assert.equal(await refusal(socket, { ...signal, member: "ann" }), "not_a_member");
});

Deno.test("a socket may send for a session that joined over HTTP", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  for (const [member, session] of [["ann", "a1"], ["bob", "b1"]] as const) {
    await callMember(weir.url, "PUT", { channel, member, session });
  }
  await using socket = await SocketClient.open(weir.url);
  socket.send({ op: "signal", ref: 1, channel, member: "ann", session: "a1", to: "bob", data: 1 });
  assert.deepEqual((await socket.until("ack"))["sessions"], ["b1"]);
});

Deno.test("members and sessions that do not exist, or have no name, look the same", async () => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url);
  await enter(socket, channel, { member: "ann", session: "a1" });
  await enter(socket, channel, { member: "unnamed" });
  await enter(socket, channel, { member: "gone", session: "g1" });
  socket.send({ op: "leave", ref: 1, channel, member: "gone", session: "g1" });
  await socket.until("left");
  const signal = { channel, member: "ann", session: "a1", data: 1 };
  for (const to of ["nobody", "unnamed", "gone", "constructor"]) {
    for (const rest of [{}, { toSession: "g1" }]) {
      const message = { op: "signal", ref: 1, ...signal, to, ...rest };
      assert.equal(await refusal(socket, message), "no_such_member");
      const answer = await postSignal(weir.url, { ...signal, to, ...rest });
      assertRefused(answer, 404, "no_such_member");
    }
  }
  const other = { op: "signal", ref: 1, ...signal, to: "ann", toSession: "a2" };
  assert.equal(await refusal(socket, other), "no_such_member");
});

Deno.test("signals that are malformed or too large are refused, and nothing is stored", async (t) => {
  await using weir = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url);
  await enter(socket, channel, { member: "ann", session: "a1" });
  await enter(socket, channel, { member: "bob", session: "b1" });
  const good = { channel, member: "ann", session: "a1", to: "bob", data: 1 };
  const large = "x".repeat(MAX_SIGNAL_BYTES - 1);
  const cases: readonly (readonly [string, Record<string, unknown>, string, string, number])[] = [
    ["no data", { data: undefined }, "bad_message", "bad_body", 400],
    ["a bad member", { to: "" }, "bad_member", "bad_member", 400],
    ["a bad session", { toSession: "a/b" }, "bad_message", "bad_body", 400],
    ["a session of another type", { toSession: 1 }, "bad_message", "bad_body", 400],
    ["an unknown member", { from: "eve" }, "bad_message", "bad_body", 400],
    ["a text that is too large", { data: large }, "signal_too_large", "signal_too_large", 413],
    [
      "an object that is too large",
      { data: { large } },
      "signal_too_large",
      "signal_too_large",
      413,
    ],
    ["a megabyte", { data: ["y".repeat(2 ** 20)] }, "signal_too_large", "signal_too_large", 413],
  ];
  for (const [name, change, overSocket, overHttp, status] of cases) {
    await t.step(name, async () => {
      const message = { op: "signal", ref: 1, ...good, ...change };
      assert.equal(await refusal(socket, message), overSocket);
      const answer = await postSignal(weir.url, { ...good, ...change });
      assert.deepEqual([answer.status, answer.code], [status, overHttp], answer.text);
    });
  }
  assert.deepEqual(await readAll(weir.url, inboxName(channel, "bob", "b1")), []);
  const largest = { ...good, data: large.slice(1) };
  socket.send({ op: "signal", ref: 1, ...largest });
  await socket.until("ack");
  assert.equal((await postSignal(weir.url, largest)).status, 200);
  assert.equal((await readAll(weir.url, inboxName(channel, "bob", "b1"))).length, 2);
});

Deno.test("a session name is required over HTTP, and an inbox whose name is too long is refused", async () => {
  await using weir = await LocalServer.start();
  const channel = "c".repeat(200);
  const long = "m".repeat(60);
  await callMember(weir.url, "PUT", { channel, member: "ann", session: "a1" });
  await callMember(weir.url, "PUT", { channel, member: long, session: "b1" });
  const signal = { channel, member: "ann", session: "a1", to: long, data: 1 };
  assertRefused(await postSignal(weir.url, signal), 400, "bad_channel");
  const path = `/v1/channels/${channel}/members/ann/signals`;
  const body = JSON.stringify({ to: "ann", data: 1 });
  assertRefused(await call(weir.url, path, { method: "POST", body }), 400, "bad_parameter");
  assertRefused(await call(weir.url, `${path}?session=a1`), 405, "method_not_allowed");
});
