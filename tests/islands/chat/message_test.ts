import assert from "node:assert/strict";
import fc from "fast-check";
import { parseMessage } from "../../../islands/chat/message.ts";

Deno.test("parseMessage() reads any object with a text and ignores invalid members", () => {
  const at = "2026-11-21T03:13:58.566Z";
  assert.deepEqual(parseMessage({ name: "Ann", text: "Hi", at }), { name: "Ann", text: "Hi", at });
  assert.deepEqual(parseMessage({ name: 7, text: "Hi", at: "soon" }), {
    name: "Someone",
    text: "Hi",
  });
  assert.deepEqual(parseMessage({ name: " \n", text: " Hi" }), { name: "Someone", text: " Hi" });
});

Deno.test("parseMessage() returns undefined without a text", () => {
  for (const data of [null, "text", 7, [], {}, { text: 7 }, { text: " \n" }, { name: "Ann" }]) {
    assert.equal(parseMessage(data), undefined);
  }
  fc.assert(fc.property(fc.anything(), (data) => {
    const message = parseMessage(data);
    assert.ok(message === undefined || message.text.trim() !== "");
  }));
});
