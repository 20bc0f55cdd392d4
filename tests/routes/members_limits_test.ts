import assert from "node:assert/strict";
import { type Member } from "../../lib/presence/member.ts";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";
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
import { memberIn } from "../support/presence.ts";
import { newChannel } from "../support/publishing.ts";
import { SocketClient, type SocketMessage } from "../support/socket_client.ts";

const PRESENCE = { presence: ["**"] };

Deno.test("rejects invalid members, data and sessions", async (t) => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using socket = await SocketClient.open(server.url);
  const messages: Readonly<Record<string, readonly [SocketMessage, string]>> = {
    "a missing member": [{ op: "enter", ref: 1, channel }, "bad_member"],
    "an empty member": [{ op: "enter", ref: 1, channel, member: "" }, "bad_member"],
    "a long member": [{ op: "enter", ref: 1, channel, member: "m".repeat(257) }, "bad_member"],
    "a control character": [{ op: "enter", ref: 1, channel, member: "a\nb" }, "bad_member"],
    "half a character": [{ op: "enter", ref: 1, channel, member: "\ud800" }, "bad_member"],
    "a dot segment": [{ op: "enter", ref: 1, channel, member: ".." }, "bad_member"],
    "too much data": [
      { op: "enter", ref: 1, channel, member: "a", data: "x".repeat(1_023) },
      "event_too_large",
    ],
    "a missing ref": [{ op: "enter", channel, member: "a" }, "bad_message"],
    "a number as member": [{ op: "enter", ref: 1, channel, member: 7 }, "bad_message"],
    "a missing channel": [{ op: "leave", ref: 1, member: "a" }, "bad_message"],
    "an unknown property": [{ op: "leave", ref: 1, channel, member: "a", data: 1 }, "bad_message"],
    "a long channel": [
      { op: "enter", ref: 1, channel: "c".repeat(247), member: "a" },
      "bad_channel",
    ],
    "an empty channel": [{ op: "enter", ref: 1, channel: "", member: "a" }, "bad_channel"],
  };
  for (const [what, [message, code]] of Object.entries(messages)) {
    await t.step(what, async () => assert.equal(await refusal(socket, message), code));
  }
  const put = (path: string, body = "{}") => call(server.url, path, { method: "PUT", body });
  const path = membersPath(channel, "ann");
  const requests: Readonly<Record<string, readonly [() => ReturnType<typeof put>, string]>> = {
    "a missing session": [() => put(path.replace(/\?.*/, "")), "bad_parameter"],
    "a session with a space": [() => put(membersPath(channel, "ann", "a b")), "bad_parameter"],
    "a long session": [() => put(membersPath(channel, "ann", "s".repeat(65))), "bad_parameter"],
    "an unknown parameter": [() => put(`${path}&x=1`), "unknown_parameter"],
    "invalid JSON": [() => put(path, "{"), "bad_json"],
    "a list": [() => put(path, "[]"), "bad_body"],
    "unknown properties in the body": [() => put(path, `{"member":"ann"}`), "bad_body"],
    "bytes that are not UTF-8": [() => put(`/v1/channels/a/members/%ff?session=s`), "bad_member"],
    "a control character in the path": [() => put(membersPath(channel, "a\u0007")), "bad_member"],
    "a channel that is too long": [
      () => call(server.url, membersPath("c".repeat(247))),
      "bad_channel",
    ],
    "a parameter for the snapshot": [
      () => call(server.url, `${membersPath(channel)}?limit=1`),
      "unknown_parameter",
    ],
  };
  for (const [what, [ask, code]] of Object.entries(requests)) {
    await t.step(what, async () => assertRefused(await ask(), 400, code as "bad_body"));
  }
  await t.step("too much data over HTTP", async () => {
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

Deno.test("accepts the longest names and the largest data", async () => {
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

Deno.test("a socket can be at most 100 members", async () => {
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

Deno.test("joins, updates and renewals count as publishes", async () => {
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

Deno.test("HTTP sessions count as connections while they last", async () => {
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

Deno.test("a presence channel can be read but is not listed, counts for its tenant, and keeps an hour", async () => {
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

Deno.test("a channel has at most 1,000 members, each once", async () => {
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
