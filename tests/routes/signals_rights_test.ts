import assert from "node:assert/strict";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, type Guarded, guardedLocal } from "../support/guarded.ts";
import type { LocalServer } from "../support/local_server.ts";
import { callMember, enter, refusal } from "../support/members.ts";
import { newChannel } from "../support/publishing.ts";
import { readAll, readUrl } from "../support/readers.ts";
import { inboxName, postSignal, signalOf } from "../support/signals.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { until } from "../support/until.ts";

const PRESENCE = { presence: ["**"] };
/** Every right on every pattern that could match an inbox. */
const GREEDY = ["*", "**", "$*", "$**", "$signals:*", "$signals:**"];
const ALL = { publish: GREEDY, subscribe: GREEDY, presence: GREEDY, manage: GREEDY, admin: true };

type World = Guarded<LocalServer>;

/** Sends one signal from ann to bob, and returns the name of bob's inbox. */
async function signalToBob(weir: World, channel: string, data: unknown = "secret") {
  const [ann, bob] = [await weir.token(PRESENCE), await weir.token(PRESENCE, { sub: "bob" })];
  const members = [["ann", "a1", ann], ["bob", "b1", bob]] as const;
  for (const [member, session, token] of members) {
    const headers = bearer(token);
    const joined = await callMember(weir.url, "PUT", { channel, member, session, headers });
    assert.equal(joined.status, 200, joined.text);
  }
  const signal = { channel, member: "ann", session: "a1", to: "bob", toSession: "b1", data };
  const sent = await postSignal(weir.url, signal, bearer(ann));
  assert.equal(sent.status, 200, sent.text);
  return inboxName(channel, "bob", "b1");
}

Deno.test("an inbox is read by its own member", async () => {
  await using weir = await guardedLocal();
  const inbox = await signalToBob(weir, newChannel());
  const token = await weir.token(PRESENCE, { sub: "bob" });
  const events = await readAll(weir.url, inbox, bearer(token));
  assert.deepEqual(events.map(signalOf), [["ann", "a1", "secret"]]);
  assert.equal(events[0]?.publisher, "ann");
  const path = `/v1/channels/${encodeURIComponent(inbox)}/events?before=latest`;
  assert.equal((await call(weir.url, path, { headers: bearer(token) })).json.events.length, 1);
});

Deno.test("nobody else can read an inbox, by any way and with any pattern", async (t) => {
  await using weir = await guardedLocal({ WEIR_ANONYMOUS: "presence:** subscribe:**" });
  const channel = newChannel();
  const inbox = await signalToBob(weir, channel);
  const path = `/v1/channels/${encodeURIComponent(inbox)}`;
  const multi = `/v1/events?channel=${encodeURIComponent(inbox)}&channel=${channel}`;
  const reads = [
    `${path}/events`,
    `${path}/events?after=earliest&wait=5`,
    `${path}/events?before=latest`,
    path,
    multi,
    `${multi}&wait=5`,
  ];
  const eve = await weir.token(ALL, { sub: "eve" });
  const strangers: readonly (readonly [string, string | undefined])[] = [
    ["another member with every right", eve],
    ["the sender", await weir.token(ALL)],
    ["a token without a subject", await weir.token(ALL, { sub: undefined })],
    [
      "the member without the right presence",
      await weir.token(
        { ...ALL, presence: ["other", "$**"] },
        { sub: "bob" },
      ),
    ],
    ["anyone", undefined],
  ];
  for (const [name, token] of strangers) {
    const headers = token === undefined ? {} : bearer(token);
    await t.step(name, async () => {
      for (const read of reads) {
        assertRefused(await call(weir.url, read, { headers }), 403, "forbidden");
        const accept = { ...headers, Accept: "text/event-stream" };
        if (read.endsWith("/events") || read === multi) {
          assertRefused(await call(weir.url, read, { headers: accept }), 403, "forbidden");
        }
      }
      await using socket = await SocketClient.open(weir.url, token === undefined ? {} : { token });
      for (const target of [{ channel: inbox }, { channels: [inbox, channel] }]) {
        const subscribe = { op: "subscribe", ref: 1, ...target, after: "earliest" };
        assert.equal(await refusal(socket, subscribe), "forbidden");
      }
    });
  }
  await t.step("a ticket", async () => {
    const made = await call(weir.url, "/v1/tickets", { method: "POST", headers: bearer(eve) });
    const ticket = `ticket=${made.json.ticket}`;
    assertRefused(await call(weir.url, `${path}/events?${ticket}`), 403, "forbidden");
  });
  await t.step("an inbox that does not exist is refused in the same words", async () => {
    const other = encodeURIComponent(inboxName(channel, "bob", "b2"));
    const headers = bearer(eve);
    const [first, second] = await Promise.all([
      call(weir.url, `${path}/events`, { headers }),
      call(weir.url, `/v1/channels/${other}/events`, { headers }),
    ]);
    assert.equal(first.text.replace("/b1", "/b2"), second.text);
  });
});

Deno.test("nobody can publish to an inbox, change it, delete it, join it or see it in the list", async (t) => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const inbox = await signalToBob(weir, channel);
  const path = `/v1/channels/${encodeURIComponent(inbox)}`;
  const event = JSON.stringify({ channel: inbox, data: 1 });
  for (const sub of ["bob", "eve"]) {
    const token = await weir.token(ALL, { sub });
    const headers = { ...bearer(token), "Content-Type": "application/json" };
    await t.step(sub, async () => {
      const retention = JSON.stringify({ retention: { events: 1 } });
      const writes: readonly (readonly [string, string, string | undefined])[] = [
        ["POST", `${path}/events`, "1"],
        ["POST", "/v1/events", event],
        ["POST", "/v1/events", JSON.stringify({ channel: inbox, data: 1, ephemeral: true })],
        ["POST", "/v1/events", `{"events":[{"channel":"${channel}","data":1},${event}]}`],
        ["PUT", path, retention],
        ["DELETE", path, undefined],
        ["PUT", `${path}/members/${sub}?session=s`, "{}"],
        ["GET", `${path}/members`, undefined],
        ["POST", `${path}/members/${sub}/signals?session=s`, '{"to":"bob","data":1}'],
      ];
      for (const [method, to, body] of writes) {
        const init = body === undefined ? { method, headers } : { method, headers, body };
        assertRefused(await call(weir.url, to, init), 400, "channel_reserved");
      }
      await using socket = await SocketClient.open(weir.url, { token });
      const messages = [
        { op: "publish", channel: inbox, data: 1 },
        { op: "publish", channel: inbox, data: 1, ephemeral: true },
        { op: "enter", channel: inbox },
        { op: "signal", channel: inbox, to: "bob", data: 1 },
      ];
      for (const message of messages) {
        assert.equal(await refusal(socket, { ref: 1, ...message }), "channel_reserved");
      }
      const listed = (await call(weir.url, "/v1/channels", { headers })).json.channels;
      assert.deepEqual(listed.map(({ channel }: { channel: string }) => channel), []);
    });
  }
  const bob = bearer(await weir.token(PRESENCE, { sub: "bob" }));
  assert.equal((await readAll(weir.url, inbox, bob)).length, 1);
});

Deno.test("the list of channels continues after the inboxes", async () => {
  await using weir = await guardedLocal();
  const headers = bearer(await weir.token(ALL));
  const channel = newChannel();
  await signalToBob(weir, channel);
  await call(weir.url, `/v1/channels/${channel}/events`, { method: "POST", headers, body: "1" });
  const { channels } = (await call(weir.url, "/v1/channels?limit=1", { headers })).json;
  assert.deepEqual(channels.map(({ channel }: { channel: string }) => channel), [channel]);
});

Deno.test("nobody can send as somebody else", async () => {
  await using weir = await guardedLocal({ WEIR_ANONYMOUS: "presence:**" });
  const channel = newChannel();
  const inbox = await signalToBob(weir, channel, "from ann");
  const token = await weir.token(ALL, { sub: "eve" });
  const headers = bearer(token);
  const signal = { channel, to: "bob", toSession: "b1", data: "forged" };
  await callMember(weir.url, "PUT", { channel, member: "eve", session: "e1", headers });
  for (const member of ["ann", "bob", "~eve", "key:1"]) {
    const answer = await postSignal(weir.url, { ...signal, member, session: "a1" }, headers);
    assertRefused(answer, 403, "forbidden");
  }
  // Another's session.
  const stolen = await postSignal(weir.url, { ...signal, member: "eve", session: "a1" }, headers);
  assertRefused(stolen, 409, "not_a_member");
  // Anonymous callers get a prefix, so that "ann" is another member.
  const anonymous = await postSignal(weir.url, { ...signal, member: "ann", session: "a1" });
  assertRefused(anonymous, 409, "not_a_member");
  const own = { ...signal, member: "eve", session: "e1" };
  for (const name of ["from", "fromSession", "publisher", "type", "ttl", "id"]) {
    const answer = await postSignal(weir.url, { ...own, [name]: "ann" }, headers);
    assertRefused(answer, 400, "bad_body");
  }
  await using socket = await SocketClient.open(weir.url, { token });
  await enter(socket, channel, { session: "e2" });
  const message = { op: "signal", ref: 1, channel, to: "bob", toSession: "b1", data: "forged" };
  assert.equal(await refusal(socket, { ...message, member: "ann" }), "forbidden");
  assert.equal(await refusal(socket, { ...message, session: "a1" }), "not_a_member");
  for (const name of ["from", "fromSession", "publisher"]) {
    assert.equal(
      await refusal(socket, { ...message, session: "e2", [name]: "ann" }),
      "bad_message",
    );
  }
  assert.equal((await postSignal(weir.url, { ...own, data: "own" }, headers)).status, 200);
  const bob = bearer(await weir.token(PRESENCE, { sub: "bob" }));
  const received = (await readAll(weir.url, inbox, bob)).map(signalOf);
  assert.deepEqual(received, [["ann", "a1", "from ann"], ["eve", "e1", "own"]]);
});

Deno.test("signals require the right presence on the channel", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  await signalToBob(weir, channel);
  const token = await weir.token({ ...ALL, presence: ["other"] });
  const signal = { channel, member: "ann", session: "a1", to: "bob", data: 1 };
  assertRefused(await postSignal(weir.url, signal, bearer(token)), 403, "forbidden");
  await using socket = await SocketClient.open(weir.url, { token });
  const message = { op: "signal", ref: 1, channel, to: "bob", data: 1 };
  assert.equal(await refusal(socket, message), "forbidden");
});

Deno.test("another tenant has other members and other inboxes under the same names", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const inbox = await signalToBob(weir, channel);
  const [ann, bob] = [
    bearer(await weir.token({ ...ALL, tenant: "other" })),
    bearer(await weir.token({ ...ALL, tenant: "other" }, { sub: "bob" })),
  ];
  await callMember(weir.url, "PUT", { channel, member: "ann", session: "a1", headers: ann });
  const signal = { channel, member: "ann", session: "a1", to: "bob", toSession: "b1", data: "x" };
  assertRefused(await postSignal(weir.url, signal, ann), 404, "no_such_member");
  assert.deepEqual(await readAll(weir.url, inbox, bob), []);
  const figures = `/v1/channels/${encodeURIComponent(inbox)}`;
  assertRefused(await call(weir.url, figures, { headers: bob }), 404, "channel_not_found");
});

Deno.test("a stream of an inbox ends when the credential loses the right", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const inbox = await signalToBob(weir, channel);
  const token = await weir.token(PRESENCE, { sub: "bob" });
  await using stream = await SseClient.open(readUrl(weir.url, [inbox]), bearer(token));
  const id = stream.response.headers.get("weir-stream");
  const narrower = await weir.token({ presence: ["other"], subscribe: GREEDY }, { sub: "bob" });
  const headers = bearer(narrower);
  await call(weir.url, `/v1/streams/${id}/token`, { method: "POST", headers });
  const { event, data } = await stream.next();
  assert.equal(event, "weir.unsubscribed");
  assert.deepEqual(JSON.parse(data), { channel: inbox, reason: "forbidden" });
  await stream.ended();
});

Deno.test("a socket whose credential loses the right gets and sends no more signals", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const inbox = await signalToBob(weir, channel);
  const token = await weir.token(PRESENCE, { sub: "bob" });
  await using socket = await SocketClient.open(weir.url, { token });
  await enter(socket, channel, { session: "b2" });
  socket.send({ op: "subscribe", ref: 1, channel: inbox });
  await socket.until("subscribed");
  const narrower = await weir.token({ presence: ["other"], subscribe: GREEDY }, { sub: "bob" });
  socket.send({ op: "auth", ref: 2, token: narrower });
  assert.deepEqual(await socket.until("unsubscribed"), {
    op: "unsubscribed",
    channel: inbox,
    reason: "forbidden",
  });
  await socket.until("authenticated");
  const message = { op: "signal", ref: 3, channel, session: "b2", to: "ann", data: 1 };
  assert.equal(await refusal(socket, message), "forbidden");
});

Deno.test("a socket that becomes somebody else loses the inbox that it read", async () => {
  await using weir = await guardedLocal({ WEIR_ANONYMOUS: "presence:**" });
  const channel = newChannel();
  await using socket = await SocketClient.open(weir.url);
  await enter(socket, channel, { member: "ann", session: "a1" });
  const inbox = inboxName(channel, "~ann", "a1");
  socket.send({ op: "subscribe", ref: 1, channel: inbox });
  await socket.until("subscribed");
  socket.send({ op: "auth", ref: 2, token: await weir.token(PRESENCE) });
  assert.deepEqual(await socket.until("unsubscribed"), {
    op: "unsubscribed",
    channel: inbox,
    reason: "forbidden",
  });
});

Deno.test("a revoked credential ends a poll of an inbox, and sends nothing more", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const inbox = await signalToBob(weir, channel);
  const token = await weir.token(PRESENCE, { sub: "bob", jti: "bob-1" });
  const path = `/v1/channels/${encodeURIComponent(inbox)}/events?wait=60`;
  const polling = call(weir.url, path, { headers: bearer(token) });
  const { connections } = weir.server.server.access;
  await until("the poll waits", () => connections.size > 0);
  const admin = { ...bearer(await weir.token(ALL)), "Content-Type": "application/json" };
  const body = JSON.stringify({ jti: "bob-1" });
  await call(weir.url, "/v1/revocations", { method: "POST", headers: admin, body });
  assertRefused(await polling, 401, "token_revoked");
  const signal = { channel, member: "bob", session: "b1", to: "ann", data: 1 };
  assertRefused(await postSignal(weir.url, signal, bearer(token)), 401, "token_revoked");
});

Deno.test("names of markup and control characters stay text, or are refused", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const name = `<img src=x onerror="alert(1)">&'\u202e`;
  const headers = bearer(await weir.token(PRESENCE, { sub: name }));
  await callMember(weir.url, "PUT", { channel, member: name, session: "x1", headers });
  const signal = { channel, member: name, session: "x1", to: name, data: "</script>" };
  const sent = await postSignal(weir.url, signal, headers);
  assert.deepEqual(sent.json, { sessions: ["x1"] }, sent.text);
  const events = await readAll(weir.url, inboxName(channel, name, "x1"), headers);
  assert.deepEqual(events.map(signalOf), [[name, "x1", "</script>"]]);
  for (const to of ["a\0b", "a\nb", "\u2028", "\x9b"]) {
    assertRefused(await postSignal(weir.url, { ...signal, to }, headers), 400, "bad_member");
  }
});
