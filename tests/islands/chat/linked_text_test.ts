import assert from "node:assert/strict";
import fc from "fast-check";
import { linkedText } from "../../../islands/chat/linked_text.ts";

/** Returns the URLs of the links in `text`. */
function links(text: string): readonly string[] {
  return linkedText(text).flatMap(({ href }) => href ?? []);
}

Deno.test("URLs in a text are links without surrounding punctuation", () => {
  assert.deepEqual(links("See https://example.com/a?b=c#d."), ["https://example.com/a?b=c#d"]);
  assert.deepEqual(links("(http://example.com/a_(b)) [https://x.test]"), [
    "http://example.com/a_(b)",
    "https://x.test/",
  ]);
  assert.deepEqual(linkedText("none"), [{ text: "none" }]);
  assert.deepEqual(linkedText(""), []);
});

Deno.test("only http and https URLs become links", () => {
  for (const text of ["javascript:alert(1)", "data:text/html,x", "https://", "ftp://x.test"]) {
    assert.deepEqual(links(text), []);
  }
  assert.deepEqual(links(`javascript:"https://x.test"onclick='y'`), ["https://x.test/"]);
});

Deno.test("the parts of a text join to the text, and their links are safe", () => {
  const piece = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.constantFrom("https://", "HTTP://x", "(", ")", "]", ".", " ", "javascript:", "\n", "<"),
  );
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    const text = pieces.join("");
    const parts = linkedText(text);
    assert.equal(parts.map(({ text }) => text).join(""), text);
    for (const { href = "http://none" } of parts) assert.match(href, /^https?:\/\//);
  }));
});
