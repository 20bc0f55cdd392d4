import assert from "node:assert/strict";
import { OPEN } from "../../../lib/auth/authority.ts";
import { type EndReason, type Holder, Sessions } from "../../../lib/auth/sessions.ts";
import type { Tenant } from "../../../lib/shared/channel.ts";
import { authorityOf } from "../../support/grants.ts";

const OTHER = "other" as Tenant;

class FakeHolder implements Holder {
  readonly warnings: number[] = [];
  readonly ends: EndReason[] = [];
  changes = 0;

  expiring(expiresIn: number): void {
    this.warnings.push(expiresIn);
  }

  changed(): void {
    this.changes++;
  }

  end(reason: EndReason): void {
    this.ends.push(reason);
  }
}

Deno.test("a session is warned once, a minute before its credential ends, and ended then", () => {
  let now = 0;
  const sessions = new Sessions(undefined, () => now);
  const holder = new FakeHolder();
  using _session = sessions.open("a", authorityOf({}, { expiresAt: 3_600_000 }), holder);
  for (now = 0; now < 3_540_000; now += 500) sessions.sweep();
  assert.deepEqual(holder.warnings, []);
  for (; now < 3_600_000; now += 500) sessions.sweep();
  assert.deepEqual([holder.warnings, holder.ends], [[60_000], []]);
  sessions.sweep();
  assert.deepEqual([holder.warnings, holder.ends], [[60_000], ["expired"]]);
});

Deno.test("a session that is short from the start is warned half-way", () => {
  let now = 0;
  const sessions = new Sessions(undefined, () => now);
  const holder = new FakeHolder();
  using _session = sessions.open("a", authorityOf({}, { expiresAt: 10_000 }), holder);
  for (now = 0; now <= 5_000; now += 500) sessions.sweep();
  assert.deepEqual(holder.warnings, [5_000]);
});

Deno.test("another credential gives a session another end, and its holder is told", () => {
  let now = 0;
  const sessions = new Sessions(undefined, () => now);
  const holder = new FakeHolder();
  using session = sessions.open("a", authorityOf({}, { expiresAt: 10_000 }), holder);
  now = 9_000;
  const next = authorityOf({}, { expiresAt: 100_000 });
  assert.equal(sessions.replace("a", next), true);
  assert.equal(session.authority, next);
  now = 11_000;
  sessions.sweep();
  assert.deepEqual([holder.changes, holder.ends], [1, []]);
  now = 100_000;
  sessions.sweep();
  assert.deepEqual(holder.ends, ["expired"]);
});

Deno.test("a session takes only a credential of its tenant and subject", () => {
  const sessions = new Sessions();
  const holder = new FakeHolder();
  using session = sessions.open("a", authorityOf(), holder);
  const before = session.authority;
  const anonymous = { kind: "anonymous", subject: "ann" } as const;
  for (
    const changes of [{ tenant: OTHER }, { subject: "bob" }, { subject: undefined }, anonymous]
  ) {
    assert.throws(() => sessions.replace("a", authorityOf({}, changes)), { code: "forbidden" });
  }
  assert.equal(session.authority, before);
  assert.equal(holder.changes, 0);
  assert.equal(sessions.replace("b", authorityOf()), false);
});

Deno.test("who is nobody yet becomes anyone of the tenant", () => {
  const sessions = new Sessions();
  const nobody = authorityOf({}, { kind: "anonymous", subject: undefined });
  using session = sessions.open("a", nobody, new FakeHolder());
  sessions.replace("a", authorityOf());
  assert.equal(session.authority.grant.subject, "ann");
});

Deno.test("a revocation ends just the sessions that it means", () => {
  const sessions = new Sessions();
  const [ann, bob] = [new FakeHolder(), new FakeHolder()];
  using _ann = sessions.open("a", authorityOf(), ann);
  using _bob = sessions.open("b", authorityOf({}, { subject: "bob" }), bob);
  const ended = sessions.revoke(({ subject }) => subject === "bob");
  assert.deepEqual(ended.map(({ grant }) => grant.subject), ["bob"]);
  assert.deepEqual([ann.ends, bob.ends], [[], ["revoked"]]);
});

Deno.test("what is revoked while its session is opened ends with the next look", () => {
  const sessions = new Sessions(({ subject }) => subject === "ann");
  const [ann, bob] = [new FakeHolder(), new FakeHolder()];
  using _ann = sessions.open("a", authorityOf(), ann);
  using _bob = sessions.open("b", authorityOf({}, { subject: "bob" }), bob);
  sessions.sweep();
  assert.deepEqual([ann.ends, bob.ends], [["revoked"], []]);
});

Deno.test("a credential is looked at once, and another that takes its place", () => {
  const asked: (string | undefined)[] = [];
  const sessions = new Sessions(({ tokenId }) => {
    asked.push(tokenId);
    return tokenId === "3";
  });
  const holder = new FakeHolder();
  using session = sessions.open("a", authorityOf({}, { tokenId: "1" }), holder);
  for (let i = 0; i < 3; i++) sessions.sweep();
  assert.deepEqual(asked, ["1"]);
  sessions.replace("a", authorityOf({}, { tokenId: "2" }));
  for (let i = 0; i < 3; i++) sessions.sweep();
  assert.deepEqual(asked, ["1", "2"]);
  session.replace(authorityOf({}, { tokenId: "3" }), Date.now());
  for (let i = 0; i < 3; i++) sessions.sweep();
  assert.deepEqual([asked, holder.ends], [["1", "2", "3"], ["revoked"]]);
});

Deno.test("a connection that cannot be ended keeps no other open", () => {
  const sessions = new Sessions();
  const [bad, good] = [new FakeHolder(), new FakeHolder()];
  bad.end = () => {
    throw new Error("closing failed");
  };
  using _bad = sessions.open("a", authorityOf(), bad);
  using _good = sessions.open("b", authorityOf(), good);
  assert.throws(() => sessions.revoke(() => true), AggregateError);
  assert.deepEqual(good.ends, ["revoked"]);
});

Deno.test("a credential that is given an earlier end ends its sessions then, a later one doesn't", () => {
  let now = 0;
  const sessions = new Sessions(undefined, () => now);
  const holder = new FakeHolder();
  using session = sessions.open("a", authorityOf({}, { expiresAt: 10_000 }), holder);
  sessions.limit(() => true, 20_000);
  assert.equal(session.authority.grant.expiresAt, 10_000);
  sessions.limit(() => true, 2_000);
  now = 2_000;
  sessions.sweep();
  assert.deepEqual(holder.ends, ["expired"]);
});

Deno.test("sessions leave nothing behind, and open mode has none to keep", () => {
  const sessions = new Sessions();
  const session = sessions.open("a", authorityOf(), new FakeHolder());
  using _open = sessions.open("b", OPEN, new FakeHolder());
  assert.equal(sessions.size, 1);
  session[Symbol.dispose]();
  session[Symbol.dispose]();
  assert.equal(sessions.size, 0); // and no timer: the test's sanitizer would find it
});
