import assert from "node:assert/strict";
import fc from "fast-check";
import { friendlyName, MAX_NAME, parseMessage, parseName } from "../../../islands/chat/message.ts";

Deno.test("a message is what has a text, and whatever else is in it does no harm", () => {
  const at = "2026-11-21T03:13:58.566Z";
  assert.deepEqual(parseMessage({ name: "Ann", text: "Hi", at }), { name: "Ann", text: "Hi", at });
  assert.deepEqual(parseMessage({ name: 7, text: "Hi", at: "soon" }), {
    name: "Someone",
    text: "Hi",
  });
  assert.deepEqual(parseMessage({ name: " \n", text: " Hi" }), { name: "Someone", text: " Hi" });
});

Deno.test("what has no text is no message, whatever it is", () => {
  for (const data of [null, "text", 7, [], {}, { text: 7 }, { text: " \n" }, { name: "Ann" }]) {
    assert.equal(parseMessage(data), undefined);
  }
  fc.assert(fc.property(fc.anything(), (data) => {
    const message = parseMessage(data);
    assert.ok(message === undefined || message.text.trim() !== "");
  }));
});

Deno.test("a name is one line of some length, in well-formed Unicode", () => {
  assert.equal(parseName("  Ann\t\u0007 Lee \n"), "Ann Lee");
  assert.equal(parseName("\u0000 "), undefined);
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
    const name = parseName(text);
    if (name === undefined) return;
    assert.ok(Array.from(name).length <= MAX_NAME && name === name.trim() && name.isWellFormed());
    assert.equal(parseName(name), name);
  }));
});

Deno.test("who has no name gets a friendly one", () => {
  assert.equal(friendlyName(() => 0), "Amber Badger");
  assert.equal(friendlyName(() => 0.999), "Sunny Wren");
});
