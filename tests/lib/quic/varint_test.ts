import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeVarint, encodeVarint } from "../../../lib/quic/varint.ts";

const integer = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(100),
  fc.constantFrom(0x3f, 0x40, 0x3fff, 0x4000, 0x3fff_ffff, 0x4000_0000, Number.MAX_SAFE_INTEGER),
);

Deno.test("the examples of RFC 9000, appendix A.1, are decoded", () => {
  const decode = (hex: string) => decodeVarint(Uint8Array.fromHex(hex))?.value;
  assert.equal(decode("c2197c5eff14e88c"), Number(151_288_809_941_952_652n));
  assert.equal(decode("9d7f3e7d"), 494_878_333);
  assert.equal(decode("7bbd"), 15_293);
  assert.equal(decode("25"), 37);
  assert.equal(decode("4025"), 37);
});

Deno.test("an integer is encoded in as few bytes as possible", () => {
  const lengths = [0, 63, 64, 16_383, 16_384, 2 ** 30 - 1, 2 ** 30, Number.MAX_SAFE_INTEGER]
    .map((value) => encodeVarint(value).length);
  assert.deepEqual(lengths, [1, 1, 2, 2, 4, 4, 8, 8]);
  assert.equal(encodeVarint(494_878_333).toHex(), "9d7f3e7d");
});

Deno.test("decoding an integer gives what was encoded, and needs all of its bytes", () => {
  fc.assert(fc.property(integer, fc.uint8Array({ maxLength: 3 }), (value, before) => {
    const encoded = encodeVarint(value);
    const bytes = Uint8Array.from([...before, ...encoded, 0xff]);
    const decoded = decodeVarint(bytes, before.length);
    assert.deepEqual(decoded, { value, length: encoded.length });
    for (let end = 0; end < encoded.length; end++) {
      assert.equal(decodeVarint(encoded.subarray(0, end)), undefined);
    }
  }));
});

Deno.test("what is no integer from 0 to 2^53 - 1 is not encoded", () => {
  for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
    assert.throws(() => encodeVarint(value), RangeError);
  }
});
