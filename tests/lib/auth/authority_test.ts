import assert from "node:assert/strict";
import * as fc from "fast-check";
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

const CHANNELS = ["room:7", "room:8", "other", "a/b"] as const;
const NAMES = ["ann", "bob", "~ann", "key:1", "a/b"] as const;
/** Patterns, and the channels of {@link CHANNELS} that they match. */
const PATTERNS: Readonly<Record<string, readonly string[]>> = {
  "room:*": ["room:7", "room:8"],
  "room:7": ["room:7"],
  "**": CHANNELS,
  "*": ["other"],
  "a/*": ["a/b"],
  "$**": [],
  "$signals:**": [],
};

Deno.test("who reads which inbox is decided by the presence right and the name alone", () => {
  const patterns = fc.uniqueArray(fc.constantFrom(...Object.keys(PATTERNS)), { maxLength: 3 });
  const holder = fc.oneof(
    fc.record({ kind: fc.constant("token" as const), subject: fc.constantFrom(...NAMES) }),
    fc.record({
      kind: fc.constantFrom("token" as const, "anonymous" as const, "key" as const),
      subject: fc.constant(undefined),
    }),
  );
  fc.assert(fc.property(
    fc.record({ publish: patterns, subscribe: patterns, presence: patterns, manage: patterns }),
    holder,
    fc.constantFrom(...CHANNELS),
    fc.constantFrom(...NAMES),
    (rights, { kind, subject }, name, member) => {
      const authority = authorityOf(rights, { kind, subject, keyId: "k" });
      const hasRight = rights.presence.some((pattern) => PATTERNS[pattern]?.includes(name));
      const isMember = subject === undefined
        ? kind === "key" || member.startsWith("~")
        : member === subject && !member.startsWith("~");
      const inbox = inboxOf(member, parseChannel(name));
      assert.equal(authority.mayRead(inbox), hasRight && isMember);
      for (const action of ["publish", "subscribe", "presence", "manage"] satisfies Action[]) {
        assert.equal(authority.may(action, inbox), false);
      }
    },
  ));
});
