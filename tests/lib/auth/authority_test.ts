import assert from "node:assert/strict";
import { OPEN } from "../../../lib/auth/authority.ts";
import type { Action } from "../../../lib/auth/scope.ts";
import { inboxChannel, parseChannel } from "../../../lib/shared/channel.ts";
import { authorityOf } from "../../support/grants.ts";
import { problem } from "../../support/log_reading.ts";

const PRESENCE = { presence: ["room:*"] };
const room = parseChannel("room:7");

const inboxOf = (member: string, channel = room) =>
  inboxChannel({ channel, member, session: "s1" });

Deno.test("an inbox is read by those who may be its member, with the right to the presence", () => {
  const ann = authorityOf(PRESENCE, { subject: "ann" });
  const key = authorityOf(PRESENCE, { kind: "key", subject: undefined, keyId: "k" });
  const noSubject = authorityOf(PRESENCE, { subject: undefined, tokenId: "t" });
  const anonymous = authorityOf(PRESENCE, { kind: "anonymous", subject: undefined });
  const forged = authorityOf(PRESENCE, { subject: "~ann" });
  const readers = { ann, key, noSubject, anonymous, forged, open: OPEN };
  const may = (member: string) =>
    Object.entries(readers).filter(([, authority]) => authority.mayRead(inboxOf(member)))
      .map(([name]) => name);
  assert.deepEqual(may("ann"), ["ann", "key", "open"]);
  assert.deepEqual(may("bob"), ["key", "open"]);
  assert.deepEqual(may("~ann"), ["key", "noSubject", "anonymous", "open"]);
  for (const authority of [ann, key, noSubject, anonymous]) {
    const other = inboxOf("ann", parseChannel("other"));
    assert.equal(authority.mayRead(other), false);
    assert.throws(() => authority.requireRead(other), problem("forbidden"));
  }
});

Deno.test("no pattern grants a right to an inbox", () => {
  const all = ["*", "**", "$*", "$**", "$signals:**", inboxOf("bob")];
  const greedy = { publish: all, subscribe: all, presence: all, manage: all };
  const ann = authorityOf(greedy, { subject: "ann" });
  for (const action of ["publish", "subscribe", "presence", "manage"] satisfies Action[]) {
    for (const member of ["ann", "bob"]) {
      assert.equal(ann.may(action, inboxOf(member)), false);
      assert.throws(() => ann.require(action, inboxOf(member)), problem("forbidden"));
    }
  }
  assert.ok(ann.mayRead(inboxOf("ann")));
  assert.equal(ann.mayRead(inboxOf("bob")), false);
});
