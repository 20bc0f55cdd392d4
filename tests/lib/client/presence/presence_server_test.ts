import assert from "node:assert/strict";
import type { Member, Presence, Weir } from "../../../../lib/client/api.ts";
import { connect } from "../../../../lib/client/client.ts";
import { makeClient } from "../../../../lib/client/make_client.ts";
import type { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { withTransport } from "../../../support/every_transport.ts";
import { endingIn, guardedLocal } from "../../../support/guarded.ts";
import { shortTimers } from "../../../support/client_platform.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel } from "../../../support/publishing.ts";
import { until } from "../../../support/until.ts";

for (const transport of ["webtransport", "websocket", "sse", "long-poll"] as const) {
  const transports = [transport];
  Deno.test(`joins, updates and leaves are visible over ${transport}`, async () => {
    await using server = await withTransport(transport, await LocalServer.start());
    await using ann = connect(server.url, { transports });
    await using bob = connect(server.url, { transports });
    const channel = newChannel();
    const seen = new Watcher(bob, channel);
    const of = ann.presence<string>(channel);
    await of.enter("here", { member: "ann" });
    await seen.until("ann:here");
    await of.enter("away");
    await seen.until("ann:away");
    await bob.presence(channel).enter(undefined, { member: "bob" });
    await seen.until("ann:away", "bob:null");
    await of.leave();
    await seen.until("bob:null");
    assert.ok(seen.changes <= 5, `${seen.changes} changes`);
    seen.end();
  });
}

for (const transport of ["webtransport", "websocket", "sse", "long-poll"] as const) {
  const transports = [transport];
  Deno.test(`named sessions of a member are visible over ${transport}`, async () => {
    await using server = await withTransport(transport, await LocalServer.start());
    await using weir = connect(server.url, { transports });
    await using other = connect(server.url, { transports });
    const channel = newChannel();
    let seen: readonly Member[] = [];
    const stop = weir.presence(channel).members.subscribe((members) => seen = members);
    const sessionsAre = (...sessions: string[]) => {
      return until(`the sessions are ${sessions}`, () => `${seen[0]?.sessions}` === `${sessions}`);
    };
    const [one, two, three] = [weir, weir, other].map((of) => of.presence(channel)) as Three;
    await one.enter(1, { member: "ann", session: "b" });
    await sessionsAre("b");
    await two.enter(1, { member: "ann", session: "a" });
    await sessionsAre("a", "b");
    await three.enter(1, { member: "ann", session: "c" });
    await sessionsAre("a", "b", "c");
    await one.leave();
    await sessionsAre("a", "c");
    await Promise.all([two.leave(), three.leave()]);
    await until("nobody is there", () => seen.length === 0);
    stop();
    await assert.rejects(one.enter(1, { member: "ann", session: "a b&c" }), {
      code: /^web/.test(transport) ? "bad_message" : "bad_parameter",
    });
  });
}

Deno.test("a reconnect causes neither a leave nor a join", async () => {
  await using server = await LocalServer.start();
  await using ann = connect(server.url, { transports: ["websocket"] });
  await using bob = connect(server.url, { transports: ["sse"] });
  const channel = newChannel();
  const seen = new Watcher(bob, channel);
  await ann.presence(channel).enter(1, { member: "ann" });
  await seen.until("ann:1");
  const statuses: string[] = [];
  ann.state.subscribe(({ status }) => statuses.push(status));
  await server.server.closeSockets();
  await until("it is back", () => statuses.includes("reconnecting") && statuses.at(-1) === "open");
  await ann.presence(channel).enter(2, { member: "ann" });
  await seen.until("ann:2");
  assert.deepEqual(seen.histories, ["", "ann:1", "ann:2"]);
  seen.end();
});

Deno.test("without a WebSocket the token's subject is the default member", async () => {
  await using guarded = await guardedLocal();
  const { url } = guarded.server;
  const token = await guarded.token({ presence: ["room:*"] });
  await using weir = connect(url, { auth: () => token, transports: ["long-poll"] });
  const seen = new Watcher(weir, "room:1");
  const own = weir.presence("room:1");
  await own.enter(1);
  await seen.until("ann:1");
  await own.leave();
  await seen.until();
  seen.end();
  await using nobody = connect(url, { auth: () => ({ ticket: "wt_x" }), transports: ["sse"] });
  await assert.rejects(nobody.presence("room:1").enter(1), { code: "bad_parameter" });
});

Deno.test("the credential's subject is the default member, and a missing permission rejects", async () => {
  await using guarded = await guardedLocal();
  const { url } = guarded.server;
  const token = await guarded.token({ presence: ["room:*"] });
  const codes: string[] = [];
  await using weir = connect(url, { auth: () => token, onError: ({ code }) => codes.push(code) });
  const seen = new Watcher(weir, "room:1");
  await weir.presence("room:1").enter({ color: "red" });
  await seen.until('ann:{"color":"red"}');
  seen.end();
  await assert.rejects(weir.presence("other").enter(), { code: "forbidden" });
  new Watcher(weir, "other");
  await until("it is reported", () => codes.length === 1);
  assert.deepEqual(codes, ["forbidden"]);
});

Deno.test("a member whose new token lacks the permission is reported to onError", async () => {
  await using guarded = await guardedLocal();
  let asked = 0;
  const auth = () => {
    const rights = { subscribe: ["*"], ...asked++ === 0 && { presence: ["*"] } };
    return guarded.token(rights, endingIn(asked === 1 ? 3 : 600));
  };
  const codes: string[] = [];
  const onError = ({ code }: WeirError) => codes.push(code);
  await using weir = connect(guarded.server.url, { auth, transports: ["websocket"], onError });
  await weir.presence("room").enter();
  await until("it is reported", () => codes.length > 0);
  assert.deepEqual([codes, weir.state.value.status], [["forbidden"], "open"]);
});

Deno.test("a member that entered over HTTP and now has a WebSocket leaves immediately", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  proxy.on(["websocket"], { act: "refuse" });
  const transports = ["websocket", "sse"] as const;
  await using ann = makeClient(proxy.url, { transports }, shortTimers({ maxMs: 500 }));
  await using bob = connect(server.url);
  const channel = newChannel();
  const seen = new Watcher(bob, channel);
  ann.listen(channel, { onEvent() {}, onGap: "throw" });
  const room = ann.presence(channel);
  await room.enter(1, { member: "ann" });
  assert.deepEqual(ann.state.value, { status: "open", transport: "sse" });
  await seen.until("ann:1");
  proxy.off();
  await until("it has a WebSocket", () => {
    const { value } = ann.state;
    return value.status === "open" && value.transport === "websocket";
  });
  await room.enter(2);
  await seen.until("ann:2");
  const at = performance.now();
  await room.leave();
  await seen.until();
  assert.ok(performance.now() - at < 5_000, "it was there for the rest of its time");
  seen.end();
});

Deno.test("without a WebSocket a member that URLs cannot carry is refused", async () => {
  await using server = await LocalServer.start();
  await using weir = connect(server.url, { transports: ["long-poll"] });
  const channel = newChannel();
  for (const member of ["", ".", "..", "\ud800"]) {
    await assert.rejects(weir.presence(channel).enter(1, { member }), { code: "bad_member" });
  }
  await weir.presence(channel).enter(1, { member: "..." });
});

Deno.test("a channel that cannot have presence is reported to onError", async () => {
  await using server = await LocalServer.start();
  const errors: string[] = [];
  await using weir = connect(server.url, { onError: ({ code }) => errors.push(code) });
  weir.presence("x".repeat(256)).members.subscribe(() => {});
  await until("it is reported", () => errors.length > 0);
  assert.deepEqual(errors, ["bad_channel"]);
});

/** Collects a channel's members as a client sees them. */
class Watcher {
  readonly end: () => void;
  /** The state after each change, without repetitions. */
  readonly histories: string[] = [""];
  /** The first call has the members of before the snapshot. */
  changes = -1;
  #now: readonly Member[] = [];

  constructor(weir: Weir, channel: string) {
    this.end = weir.presence(channel).members.subscribe((members) => {
      this.changes++;
      this.#now = members;
      if (this.histories.at(-1) !== this.#text) this.histories.push(this.#text);
    });
  }

  async until(...members: readonly string[]): Promise<void> {
    await until(`there are ${members}`, () => this.#text === members.join());
  }

  get #text(): string {
    return this.#now.map(({ member, data }) => `${member}:${text(data)}`).join();
  }
}

function text(data: unknown): string {
  return typeof data === "string" ? data : JSON.stringify(data);
}

type Three = [Presence, Presence, Presence];
