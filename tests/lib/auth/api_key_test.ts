import assert from "node:assert/strict";
import fc from "fast-check";
import {
  hashApiKey,
  isApiKeyId,
  newApiKey,
  parseApiKey,
  randomBase62,
} from "../../../lib/auth/api_key.ts";

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

Deno.test("newApiKey() returns a key that parses, with prefix, id, secret and checksum", () => {
  const seen = new Set<string>();
  for (let i = 0; i < 1_000; i++) {
    const key = newApiKey();
    assert.match(key.text, /^weir_[0-9A-Za-z]{50}$/);
    assert.equal(key.text.slice(5, 17), key.id);
    assert.ok(isApiKeyId(key.id));
    assert.deepEqual(parseApiKey(key.text), key);
    seen.add(key.id).add(key.text.slice(17, 49));
  }
  assert.equal(seen.size, 2_000);
});

Deno.test("the checksum is the body's CRC-32 in base62", () => {
  // Python: zlib.crc32(b"weir_" + b"0" * 12 + b"A" * 32)
  const body = `weir_${"0".repeat(12)}${"A".repeat(32)}`;
  assert.equal(parseApiKey(`${body}3SiOPs`)?.id, "0".repeat(12));
});

Deno.test("parseApiKey() rejects one wrong character and two swapped ones", () => {
  fc.assert(fc.property(
    fc.nat({ max: 54 }),
    fc.constantFrom(...BASE62, "_", "-", " ", "é"),
    (place, other) => {
      const { text } = newApiKey();
      const changed = text.slice(0, place) + other + text.slice(place + 1);
      if (changed !== text) assert.equal(parseApiKey(changed), undefined);
      const swapped = text.slice(0, place) + text.charAt(place + 1) + text.charAt(place) +
        text.slice(place + 2);
      if (swapped !== text) assert.equal(parseApiKey(swapped), undefined);
    },
  ));
});

Deno.test("parseApiKey() rejects other texts", () => {
  const { text } = newApiKey();
  const others = ["", "weir_", `${text}\n`, ` ${text}`, `${text}a`, text.slice(0, -1)];
  for (const other of [...others, text.toUpperCase(), `x${text}`, `${text}\n${text}`]) {
    assert.equal(parseApiKey(other), undefined);
  }
  fc.assert(fc.property(
    fc.oneof(fc.string(), fc.string({ unit: "binary" }), base62(50).map((rest) => `weir_${rest}`)),
    (random) => assert.equal(parseApiKey(random), undefined),
  ));
});

Deno.test("isApiKeyId() accepts exactly twelve characters of base62", () => {
  for (
    const id of ["", "a".repeat(11), "a".repeat(13), "a".repeat(11) + "-", "a".repeat(12) + "\n"]
  ) {
    assert.ok(!isApiKeyId(id));
  }
});

Deno.test("hashApiKey() returns the SHA-256", async () => {
  const { text } = newApiKey();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  assert.equal(hashApiKey(text), new Uint8Array(digest).toHex());
});

Deno.test("randomBase62() draws all characters equally often", () => {
  const EACH = 10_000;
  const counts = new Map<string, number>();
  for (let i = 0; i < EACH; i++) {
    for (const char of randomBase62(62)) counts.set(char, (counts.get(char) ?? 0) + 1);
  }
  assert.equal(counts.size, 62);
  // Eight standard deviations; a plain modulo would be off by 21 % for some.
  for (const count of counts.values()) assert.ok(Math.abs(count - EACH) < 0.08 * EACH);
});

function base62(length: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...BASE62), minLength: length, maxLength: length });
}
