import assert from "node:assert/strict";
import fc from "fast-check";
import { Http3Error } from "../../../lib/quic/http3_error.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "../../../lib/quic/huffman.ts";

/** Strings of RFC 7541, appendices C.4 and C.6. */
const EXAMPLES = {
  "www.example.com": "f1e3c2e5f23a6ba0ab90f4ff",
  "no-cache": "a8eb10649cbf",
  "custom-key": "25a849e95ba97d7f",
  "custom-value": "25a849e95bb8e8b4bf",
  "302": "6402",
  "307": "640eff",
  "private": "aec3771a4b",
  "gzip": "9bd9ab",
  "Mon, 21 Oct 2013 20:13:21 GMT": "d07abe941054d444a8200595040b8166e082a62d1bff",
  "Mon, 21 Oct 2013 20:13:22 GMT": "d07abe941054d444a8200595040b8166e084a62d1bff",
  "https://www.example.com": "9d29ad171863c78f0b97c8e9ae82ae43d3",
  "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1":
    "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
};

Deno.test("the examples of RFC 7541, appendices C.4 and C.6, are decoded and encoded", () => {
  for (const [text, hex] of Object.entries(EXAMPLES)) {
    assert.equal(new TextDecoder().decode(decodeHuffman(Uint8Array.fromHex(hex))), text);
    assert.equal(encodeHuffman(new TextEncoder().encode(text)).toHex(), hex);
  }
});

Deno.test("every byte has the code of RFC 7541, appendix B", () => {
  const codeOf = (byte: number) => {
    // With 8 symbols the code of the byte ends at the end of a byte.
    const bytes = encodeHuffman(new Uint8Array(8).fill(byte));
    const bits = [...bytes].map((value) => value.toString(2).padStart(8, "0")).join("");
    return bits.slice(0, bytes.length);
  };
  assert.equal(codeOf(0x30), "00000");
  assert.equal(codeOf(0x61), "00011");
  assert.equal(codeOf(0x20), "010100");
  assert.equal(codeOf(0x7e), "1111111111101");
  assert.equal(codeOf(0x00), "1111111111000");
  assert.equal(codeOf(0x5c), "1111111111111110000");
  assert.equal(codeOf(0xff), "11111111111111111111101110");
  assert.equal(codeOf(0x0a), "111111111111111111111111111100");
  assert.equal(codeOf(0x16), "111111111111111111111111111110");
});

Deno.test("decoding a string gives what was encoded", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (text) => {
    const bytes = encodeHuffman(text);
    assert.equal(bytes.length, huffmanLength(text));
    assert.deepEqual(decodeHuffman(bytes), text);
  }));
});

Deno.test("random bytes are decoded, and encode to the same, or throw a typed error", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    let text: Uint8Array;
    try {
      text = decodeHuffman(bytes);
    } catch (cause) {
      assert.ok(cause instanceof Http3Error && cause.codeName === "QPACK_DECOMPRESSION_FAILED");
      return;
    }
    assert.deepEqual(encodeHuffman(text), bytes);
  }));
});

Deno.test("wrong padding and the EOS symbol are refused", () => {
  for (const hex of ["ff", "1fff", "18", "00", "ffffffff", "fffffffffc"]) {
    assert.throws(() => decodeHuffman(Uint8Array.fromHex(hex)), Http3Error, hex);
  }
});
