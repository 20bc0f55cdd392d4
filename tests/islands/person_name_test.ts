import assert from "node:assert/strict";
import fc from "fast-check";
import { friendlyName, MAX_NAME, parseName } from "../../islands/person_name.ts";

Deno.test("parseName() returns one line of limited length in well-formed Unicode", () => {
  assert.equal(parseName("  Ann\t\u0007 Lee \n"), "Ann Lee");
  assert.equal(parseName("\u0000 "), undefined);
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
    const name = parseName(text);
    if (name === undefined) return;
    assert.ok(Array.from(name).length <= MAX_NAME && name === name.trim() && name.isWellFormed());
    assert.equal(parseName(name), name);
  }));
});

Deno.test("friendlyName() makes up a name", () => {
  assert.equal(friendlyName(() => 0), "Amber Badger");
  assert.equal(friendlyName(() => 0.999), "Sunny Wren");
});
