import assert from "node:assert/strict";
import { MAX_SIGNALS_OF_SENDER } from "../../lib/rtc/sender_quota.ts";
import { assertRefused } from "../support/calls.ts";
import { bearer, type Guarded, guardedLocal } from "../support/guarded.ts";
import type { LocalServer } from "../support/local_server.ts";
import { callMember, enter } from "../support/members.ts";
import { newChannel } from "../support/publishing.ts";
import { readAll } from "../support/readers.ts";
import { inboxName, postSignal } from "../support/signals.ts";
import { SocketClient } from "../support/socket_client.ts";

const PRESENCE = { presence: ["**"] };

/** Lets bob join with these sessions. */
async function joinBob(weir: Guarded<LocalServer>, channel: string, sessions: readonly string[]) {
  const headers = bearer(await weir.token(PRESENCE, { sub: "bob" }));
  for (const session of sessions) {
    const joined = await callMember(weir.url, "PUT", { channel, member: "bob", session, headers });
    assert.equal(joined.status, 200, joined.text);
  }
  return headers;
}

Deno.test("signals count as publishes, once for each session, and for members that do not exist", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const bob = await joinBob(weir, channel, ["b1", "b2", "b3"]);
  // One publish a second; a single one that is larger is accepted, and has to be made up for.
  const limits = { publishes: 1 };
  const signal = { channel, member: "ann", session: "a1", to: "bob", data: 1 };
  const send = async (sub: string, change: Readonly<Record<string, unknown>> = {}) => {
    const headers = bearer(await weir.token({ ...PRESENCE, limits }, { sub }));
    return await postSignal(weir.url, { ...signal, member: sub, ...change }, headers);
  };
  const free = bearer(await weir.token(PRESENCE));
  await callMember(weir.url, "PUT", { channel, member: "ann", session: "a1", headers: free });
  const refused = await send("ann");
  assertRefused(refused, 429, "rate_limited");
  assert.match(refused.headers.get("ratelimit-policy") ?? "", /^"credential-publishes";q=1;/);
  for (const session of ["b1", "b2", "b3"]) {
    assert.deepEqual(await readAll(weir.url, inboxName(channel, "bob", session), bob), []);
  }
  assertRefused(await send("eve", { to: "nobody" }), 409, "not_a_member");
  assertRefused(await send("eve", { to: "nobody" }), 429, "rate_limited");
});

Deno.test("a signal counts with its bytes", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  await joinBob(weir, channel, ["b1"]);
  const limits = { bytes: 1_000 };
  await using socket = await SocketClient.open(weir.url, {
    token: await weir.token({ ...PRESENCE, limits }),
  });
  await enter(socket, channel, { session: "a1" });
  const data = "x".repeat(60_000);
  const signal = { op: "signal", ref: 1, channel, session: "a1", to: "bob", data };
  socket.send(signal, { ...signal, ref: 2 });
  const answers = [await socket.next(), await socket.next()]
    .map(({ op, ref, code }) => ({ op, ref, code }))
    .toSorted((a, b) => Number(a.ref) - Number(b.ref));
  assert.deepEqual(answers, [
    { op: "ack", ref: 1, code: undefined },
    { op: "error", ref: 2, code: "rate_limited" },
  ]);
});

Deno.test("a flood of signals fills only a part of an inbox, and others still reach it", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const bob = await joinBob(weir, channel, ["b1"]);
  const token = await weir.token(PRESENCE, { sub: "eve" });
  await using flooder = await SocketClient.open(weir.url, { token });
  await enter(flooder, channel, { session: "e1" });
  const count = MAX_SIGNALS_OF_SENDER + 100;
  const codes: unknown[] = [];
  // A socket may have so many waiting for their answers.
  for (let sent = 0; sent < count;) {
    const batch = Math.min(256, count - sent);
    flooder.send(...Array.from({ length: batch }, (_, i) => {
      return { op: "signal", ref: sent + i, channel, session: "e1", to: "bob", data: sent + i };
    }));
    for (let answers = 0; answers < batch; answers++) codes.push((await flooder.next())["code"]);
    sent += batch;
  }
  assert.equal(codes.filter((code) => code === undefined).length, MAX_SIGNALS_OF_SENDER);
  assert.equal(codes.filter((code) => code === "inbox_full").length, 100);
  const signal = { channel, member: "eve", session: "e1", to: "bob", data: "over HTTP" };
  const full = await postSignal(weir.url, signal, bearer(token));
  assertRefused(full, 429, "inbox_full");
  const retryAfter = Number(full.headers.get("retry-after"));
  assert.ok(retryAfter > 0 && retryAfter <= 60, `${retryAfter}`);
  assert.equal(full.headers.get("ratelimit"), null);
  const ann = bearer(await weir.token(PRESENCE));
  await callMember(weir.url, "PUT", { channel, member: "ann", session: "a1", headers: ann });
  const honest = { channel, member: "ann", session: "a1", to: "bob", data: "hello" };
  assert.equal((await postSignal(weir.url, honest, ann)).status, 200);
  const inbox = await readAll(weir.url, inboxName(channel, "bob", "b1"), bob);
  assert.equal(inbox.length, MAX_SIGNALS_OF_SENDER + 1);
  const sent = inbox.map(({ data }) => (data as { readonly data: unknown }).data);
  assert.deepEqual(sent.slice(0, 3), [0, 1, 2]);
  assert.equal(sent.at(-1), "hello");
});
