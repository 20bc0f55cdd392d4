import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeFieldSection,
  encodeFieldSection,
  MAX_FIELD_SECTION_BYTES,
} from "../../../lib/quic/qpack.ts";
import { STATIC_TABLE } from "../../../lib/quic/static_table.ts";
import { code } from "./codes.ts";

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 300 }),
);
const field = fc.oneof(
  fc.constantFrom(...STATIC_TABLE),
  fc.tuple(fc.constantFrom(...STATIC_TABLE.map(([name]) => name)), text),
  fc.tuple(text, text),
);
const fields = fc.array(field, { maxLength: 12 });

function decode(hex: string) {
  return decodeFieldSection(Uint8Array.fromHex(hex.replaceAll(" ", "")));
}

Deno.test("the example of RFC 9204, appendix B.1, is decoded", () => {
  const expected = [[":path", "/index.html"]];
  assert.deepEqual(decode("0000 510b 2f69 6e64 6578 2e68 746d 6c"), expected);
});

Deno.test("the static table has the rows of RFC 9204, appendix A", () => {
  assert.equal(STATIC_TABLE.length, 99);
  assert.deepEqual(decode("0000 c0 d1 d9 fe ff00 ff23"), [
    [":authority", ""],
    [":method", "GET"],
    [":status", "200"],
    ["x-xss-protection", "1; mode=block"],
    [":status", "100"],
    ["x-frame-options", "sameorigin"],
  ]);
});

Deno.test("decoding a field section gives what was encoded", () => {
  fc.assert(fc.property(fields, (fields) => {
    assert.deepEqual(decodeFieldSection(encodeFieldSection(fields)), fields);
  }));
});

Deno.test("random and changed field sections are decoded or throw a typed error", () => {
  const changed = fc.tuple(fields, fc.nat(), fc.nat(255)).map(([fields, at, byte]) => {
    const bytes = encodeFieldSection(fields);
    bytes[at % bytes.length] = byte;
    return bytes;
  });
  const random = fc.uint8Array({ maxLength: 60 }).map((bytes) => Uint8Array.from([0, 0, ...bytes]));
  const input = fc.oneof(changed, random, fc.uint8Array({ maxLength: 60 }));
  fc.assert(fc.property(input, (bytes) => {
    code(() => decodeFieldSection(bytes));
  }));
});

Deno.test("a field section that needs the dynamic table is refused", () => {
  const sections = ["0100", "0081", "0001 c0", "0000 80", "0000 40 00", "0000 10", "0000 00 00"];
  for (const section of sections) {
    assert.equal(code(() => decode(section)), "QPACK_DECOMPRESSION_FAILED", section);
  }
});

Deno.test("a field section that ends too early or names an unknown row is refused", () => {
  for (
    const section of ["", "00", "0000 ff", "0000 ff24", "0000 51", "0000 510b 2f", "0000 23 61"]
  ) {
    assert.equal(code(() => decode(section)), "QPACK_DECOMPRESSION_FAILED", section);
  }
});

Deno.test("endless and huge integers are refused", () => {
  for (const rest of ["80".repeat(100), "ff".repeat(100), "80".repeat(100) + "00"]) {
    assert.equal(code(() => decode(`0000 ff${rest}`)), "QPACK_DECOMPRESSION_FAILED");
  }
});

Deno.test("a field section that decompresses to more than its limit is refused", () => {
  const row = encodeFieldSection([["accept-ranges", "bytes"]]).subarray(2);
  const count = Math.floor(
    MAX_FIELD_SECTION_BYTES / ("accept-ranges".length + "bytes".length + 32),
  );
  const section = (rows: number) =>
    Uint8Array.from([0, 0, ...Array.from({ length: rows }, () => [...row]).flat()]);
  assert.equal(decodeFieldSection(section(count)).length, count);
  assert.equal(code(() => decodeFieldSection(section(count + 1))), "EXCESSIVE_LOAD");
  const long = encodeFieldSection([["x", "0".repeat(MAX_FIELD_SECTION_BYTES)]]);
  assert.equal(code(() => decodeFieldSection(long)), "EXCESSIVE_LOAD");
});
