import assert from "node:assert/strict";
import { OPEN } from "../../../lib/auth/authority.ts";
import { type Connection, Connections, ENDED_PER_TURN } from "../../../lib/auth/connections.ts";
import type { Tenant } from "../../../lib/shared/channel.ts";
import { FakeHandler } from "../../support/access_world.ts";
import { authorityOf } from "../../support/grants.ts";
import { FakeClock } from "../../support/clock.ts";
import { upTo } from "../../support/log_reading.ts";
import { PerTurn } from "../../support/per_turn.ts";

const OTHER = "other" as Tenant;

Deno.test("warns a connection once, a minute before its credential expires, and then ends it", () => {
  const clock = new FakeClock({ start: 0 });
  const connections = new Connections(undefined, clock.now);
  const handler = new FakeHandler();
  using _connection = connections.open("a", authorityOf({}, { expiresAt: 3_600_000 }), handler);
  for (; clock.now() < 3_540_000; clock.advance(500)) connections.sweep();
  assert.deepEqual(handler.warnings, []);
  for (; clock.now() < 3_600_000; clock.advance(500)) connections.sweep();
  assert.deepEqual([handler.warnings, handler.ends], [[60_000], []]);
  connections.sweep();
  assert.deepEqual([handler.warnings, handler.ends], [[60_000], ["expired"]]);
});

Deno.test("warns a connection with a short credential halfway", () => {
  const clock = new FakeClock({ start: 0 });
  const connections = new Connections(undefined, clock.now);
  const handler = new FakeHandler();
  using _connection = connections.open("a", authorityOf({}, { expiresAt: 10_000 }), handler);
  for (; clock.now() <= 5_000; clock.advance(500)) connections.sweep();
  assert.deepEqual(handler.warnings, [5_000]);
});

Deno.test("another credential changes the expiry and notifies the handler", () => {
  const clock = new FakeClock({ start: 0 });
  const connections = new Connections(undefined, clock.now);
  const handler = new FakeHandler();
  using connection = connections.open("a", authorityOf({}, { expiresAt: 10_000 }), handler);
  clock.set(9_000);
  const next = authorityOf({}, { expiresAt: 100_000 });
  assert.equal(connections.replace("a", next), true);
  assert.equal(connection.authority, next);
  clock.set(11_000);
  connections.sweep();
  assert.deepEqual([handler.changes, handler.ends], [1, []]);
  clock.set(100_000);
  connections.sweep();
  assert.deepEqual(handler.ends, ["expired"]);
});

Deno.test("a connection accepts only a credential of its tenant and subject", () => {
  const connections = new Connections();
  const handler = new FakeHandler();
  using connection = connections.open("a", authorityOf(), handler);
  const before = connection.authority;
  const anonymous = { kind: "anonymous", subject: "ann" } as const;
  for (
    const changes of [{ tenant: OTHER }, { subject: "bob" }, { subject: undefined }, anonymous]
  ) {
    assert.throws(() => connections.replace("a", authorityOf({}, changes)), { code: "forbidden" });
  }
  assert.equal(connection.authority, before);
  assert.equal(handler.changes, 0);
  assert.equal(connections.replace("b", authorityOf()), false);
});

Deno.test("an anonymous connection may switch to any subject of the tenant", () => {
  const connections = new Connections();
  const nobody = authorityOf({}, { kind: "anonymous", subject: undefined });
  using connection = connections.open("a", nobody, new FakeHandler());
  connections.replace("a", authorityOf());
  assert.equal(connection.authority.grant.subject, "ann");
});

Deno.test("a revocation ends only the connections that it matches", async () => {
  const connections = new Connections();
  const [ann, bob] = [new FakeHandler(), new FakeHandler()];
  using _ann = connections.open("a", authorityOf(), ann);
  using _bob = connections.open("b", authorityOf({}, { subject: "bob" }), bob);
  const ended: (string | undefined)[] = [];
  await connections.revoke(
    ({ subject }) => subject === "bob",
    ({ grant }) => ended.push(grant.subject),
  );
  assert.deepEqual(ended, ["bob"]);
  assert.deepEqual([ann.ends, bob.ends], [[], ["revoked"]]);
});

Deno.test("a credential revoked while its connection opens ends it at the next sweep", () => {
  const connections = new Connections(({ subject }) => subject === "ann");
  const [ann, bob] = [new FakeHandler(), new FakeHandler()];
  using _ann = connections.open("a", authorityOf(), ann);
  using _bob = connections.open("b", authorityOf({}, { subject: "bob" }), bob);
  connections.sweep();
  assert.deepEqual([ann.ends, bob.ends], [["revoked"], []]);
});

Deno.test("checks each credential of a connection for revocation once", () => {
  const asked: (string | undefined)[] = [];
  const connections = new Connections(({ tokenId }) => {
    asked.push(tokenId);
    return tokenId === "3";
  });
  const handler = new FakeHandler();
  using connection = connections.open("a", authorityOf({}, { tokenId: "1" }), handler);
  for (let i = 0; i < 3; i++) connections.sweep();
  assert.deepEqual(asked, ["1"]);
  connections.replace("a", authorityOf({}, { tokenId: "2" }));
  for (let i = 0; i < 3; i++) connections.sweep();
  assert.deepEqual(asked, ["1", "2"]);
  connection.replace(authorityOf({}, { tokenId: "3" }), Date.now());
  for (let i = 0; i < 3; i++) connections.sweep();
  assert.deepEqual([asked, handler.ends], [["1", "2", "3"], ["revoked"]]);
});

Deno.test("a connection that fails to end does not keep others open", async () => {
  const connections = new Connections();
  const [bad, good] = [new FakeHandler(), new FakeHandler()];
  bad.end = () => {
    throw new Error("closing failed");
  };
  using _bad = connections.open("a", authorityOf(), bad);
  using _good = connections.open("b", authorityOf(), good);
  await assert.rejects(connections.revoke(() => true), AggregateError);
  assert.deepEqual(good.ends, ["revoked"]);
});

for (const reason of ["revoked", "expired"] as const) {
  Deno.test(`10,000 connections that are ${reason} together end in short turns`, async () => {
    const clock = new FakeClock({ start: 0 });
    const connections = new Connections(undefined, clock.now);
    const ends = new PerTurn();
    let [ended, left] = [0, 0];
    const all: readonly Connection[] = upTo(10_000).map((i) => {
      const handler = new FakeHandler();
      handler.end = () => {
        ends.count();
        ended++;
        connection[Symbol.dispose]();
        // Its neighbour leaves in the same moment, and is not ended.
        if (i === 1) all[9_999]?.[Symbol.dispose]();
      };
      const authority = authorityOf({}, { expiresAt: 10_000 });
      const connection = connections.open(`${i}`, authority, handler);
      return connection;
    });
    if (reason === "revoked") await connections.revoke(() => true, () => left++);
    clock.advance(10_000);
    await connections.sweep();
    assert.equal(ended, 9_999);
    assert.equal(left, reason === "revoked" ? 9_999 : 0);
    assert.equal(connections.size, 0);
    ends.assertAtMost(ENDED_PER_TURN);
  });
}

Deno.test("limit() makes connections expire earlier but never later", () => {
  const clock = new FakeClock({ start: 0 });
  const connections = new Connections(undefined, clock.now);
  const handler = new FakeHandler();
  using connection = connections.open("a", authorityOf({}, { expiresAt: 10_000 }), handler);
  connections.limit(() => true, 20_000);
  assert.equal(connection.authority.grant.expiresAt, 10_000);
  connections.limit(() => true, 2_000);
  clock.set(2_000);
  connections.sweep();
  assert.deepEqual(handler.ends, ["expired"]);
});

Deno.test("closed connections leave nothing behind, and open mode tracks none", () => {
  const connections = new Connections();
  const connection = connections.open("a", authorityOf(), new FakeHandler());
  using _open = connections.open("b", OPEN, new FakeHandler());
  assert.equal(connections.size, 1);
  connection[Symbol.dispose]();
  connection[Symbol.dispose]();
  assert.equal(connections.size, 0); // and no timer: the test's sanitizer would find it
});
