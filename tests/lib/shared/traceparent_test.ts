import assert from "node:assert/strict";
import fc from "fast-check";
import { parseTraceparent } from "../../../lib/shared/traceparent.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";

Deno.test("parseTraceparent() keeps what W3C Trace Context defines", () => {
  assert.equal(parseTraceparent(`00-${TRACE}-${PARENT}-01`), `00-${TRACE}-${PARENT}-01`);
  assert.equal(parseTraceparent(`00-${TRACE}-${PARENT}-00`), `00-${TRACE}-${PARENT}-00`);
  assert.equal(parseTraceparent(`00-${TRACE}-${PARENT}-ff`), `00-${TRACE}-${PARENT}-03`);
});

Deno.test("parseTraceparent() reads a later version as version 00", () => {
  for (const version of ["01", "cc", "fe"]) {
    for (const rest of ["", "-", "-what-the-future-will-be-like"]) {
      const text = `${version}-${TRACE}-${PARENT}-03${rest}`;
      assert.equal(parseTraceparent(text), `00-${TRACE}-${PARENT}-03`);
    }
  }
});

Deno.test("parseTraceparent() returns undefined for everything else", () => {
  const invalid = [
    "",
    "00",
    `ff-${TRACE}-${PARENT}-01`,
    `00-${"0".repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-0`,
    `00-${TRACE}-${PARENT}-01-`,
    `00-${TRACE}-${PARENT}-01-rest`,
    `01-${TRACE}-${PARENT}-01rest`,
    `01-${TRACE}-${PARENT}-01-${"x".repeat(100)}`,
    `01-${TRACE}-${PARENT}-01-\n`,
    ` 00-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01\n`,
    `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-0"`,
  ];
  for (const text of invalid) assert.equal(parseTraceparent(text), undefined, text);
  for (const text of [null, undefined]) assert.equal(parseTraceparent(text), undefined);
});

Deno.test("parseTraceparent() returns nothing that needs an escape in JSON or in a header", () => {
  const part = fc.oneof(
    fc.constantFrom("00", "01", "ff", "-", TRACE, PARENT, '"', "\n", "\\", "é"),
    fc.string({ maxLength: 40 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 10 }), (parts) => {
      const parsed = parseTraceparent(parts.join(""));
      if (parsed === undefined) return;
      assert.match(parsed, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/);
      assert.equal(parseTraceparent(parsed), parsed);
    }),
    { numRuns: 2_000 },
  );
});
