import assert from "node:assert/strict";
import fc from "fast-check";
import { parseJson } from "../../../lib/publish/json.ts";

const LONG = "12345678901234567890";

Deno.test("numbers that a double cannot hold keep their digits anywhere", () => {
  for (
    const text of [
      LONG,
      `-${LONG}`,
      `[${LONG},{"a":[${LONG}.5,1e400,1.0]}]`,
      `{"__proto__":{"x":${LONG}}}`,
      `["${LONG}","a\\"${LONG}",${LONG}]`,
      `{"${LONG}":${LONG}}`,
    ]
  ) assert.equal(JSON.stringify(parseJson(text)), text);
});

Deno.test("JSON with a long number is read as JSON.parse reads it", () => {
  fc.assert(fc.property(fc.json(), (json) => {
    const text = `[${json},${LONG}]`;
    const [value] = parseJson(text) as [unknown];
    assert.deepEqual(JSON.parse(JSON.stringify(value)), JSON.parse(json));
  }));
});

Deno.test("invalid JSON is refused, with the position in the original text", () => {
  for (const [text, at] of [[`[${LONG},01]`, 23], [`${LONG} x`, 21], [`[${LONG}`, 21]] as const) {
    assert.throws(() => parseJson(text), {
      code: "bad_json",
      detail: `Cannot read the JSON: unexpected at position ${at}.`,
    });
  }
  for (const text of [`"${LONG}`, `"\\`.repeat(100_000) + LONG, `-${LONG}-`]) {
    assert.throws(() => parseJson(text), { code: "bad_json" });
  }
  const deep = "[".repeat(300_000) + LONG + "]".repeat(300_000);
  assert.throws(() => parseJson(deep), { code: "bad_json" });
});
