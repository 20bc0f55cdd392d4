import assert from "node:assert/strict";
import { peopleOf, type PersonData } from "../../../islands/drop/people.ts";
import { FakePeer } from "../../support/fake_room.ts";

function shown(...peers: readonly (readonly [session: string, member: string, data: unknown])[]) {
  const all = peers.map(([session, member, data]) =>
    new FakePeer(session, member, data as PersonData)
  );
  return peopleOf(all, "me").map(({ name, note }) =>
    note === undefined ? name : `${name} (${note})`
  );
}

Deno.test("people have the names that they chose, or else their member's", () => {
  assert.deepEqual(shown(["s1", "m1", { name: "Ann" }], ["s2", "m2", null], ["s3", "m3", 7]), [
    "Ann",
    "m2",
    "m3",
  ]);
});

Deno.test("sessions with the same name, and one's own, have a note", () => {
  assert.deepEqual(
    shown(
      ["abcdef", "m1", { name: "Ann" }],
      ["uvwxyz", "m2", { name: "Ann" }],
      ["own2", "me", { name: "Bob" }],
    ),
    ["Ann (#abcd)", "Ann (#uvwx)", "Bob (you, in another tab)"],
  );
});

Deno.test("a name cannot turn the text around it", () => {
  assert.deepEqual(shown(["s1", "m1", { name: "Ann\u202e\n" }]), ["Ann\\u202e"]);
});
