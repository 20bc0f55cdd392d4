import assert from "node:assert/strict";
import type { Member, TransportName, Weir } from "../../../lib/client/api.ts";
import { connect } from "../../../lib/client/client.ts";
import { guardedLocal } from "../../support/guarded.ts";
import { LocalServer } from "../../support/local_server.ts";
import { newChannel } from "../../support/publishing.ts";
import { until } from "../../support/until.ts";

for (const transports of [["websocket"], ["sse"], ["long-poll"]] satisfies TransportName[][]) {
  Deno.test(`who comes, changes and goes is seen over ${transports[0]}`, async () => {
    await using server = await LocalServer.start();
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
    assert.ok(seen.changes <= 5, `${seen.changes} changes were told`);
    seen.end();
  });
}

Deno.test("a reconnect is neither a leave nor an enter", async () => {
  await using server = await LocalServer.start();
  await using ann = connect(server.url, { transports: ["websocket"] });
  await using bob = connect(server.url, { transports: ["sse"] });
  const channel = newChannel();
  const seen = new Watcher(bob, channel);
  await ann.presence(channel).enter(1, { member: "ann" });
  await seen.until("ann:1");
  const statuses: string[] = [];
  ann.state.subscribe(({ status }) => statuses.push(status));
  await server.weir.dismissSockets();
  await until("it is back", () => statuses.includes("reconnecting") && statuses.at(-1) === "open");
  await ann.presence(channel).enter(2, { member: "ann" });
  await seen.until("ann:2");
  assert.deepEqual(seen.histories, ["", "ann:1", "ann:2"]);
  seen.end();
});

Deno.test("a token's subject needs no name where there is no WebSocket", async () => {
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

Deno.test("a credential's subject needs no name, and who lacks the right is told", async () => {
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
  await until("it was told", () => codes.length === 1);
  assert.deepEqual(codes, ["forbidden"]);
});

/** What a client sees of a channel's members. */
class Watcher {
  readonly end: () => void;
  /** As it was after each change, the same state in a row once. */
  readonly histories: string[] = [""];
  changes = 0;
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
