import assert from "node:assert/strict";
import { serialize } from "node:v8";
import fc from "fast-check";
import { keySize, valueSize } from "../../../lib/kv/value_size.ts";

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.double({ noInteger: true }),
    fc.boolean(),
    fc.constantFrom(null, undefined),
    fc.uint8Array({ maxLength: 60 }),
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(fc.string({ unit: "grapheme-ascii", maxLength: 10 }), tie("value"), {
      maxKeys: 6,
    }),
  ),
})).value;

/** The bytes of a value without the version of the format. */
const serializedSize = (value: unknown) => serialize(value).length - 2;

Deno.test("valueSize() is not below the size of the serialization", () => {
  fc.assert(fc.property(value, (value) => {
    const size = valueSize(value, 100_000);
    assert.ok(size >= serializedSize(value), `${size} < ${serializedSize(value)}`);
  }));
});

Deno.test("valueSize() of an array with undefined items is not below the size of its sparse form", () => {
  for (const length of [1, 2, 10, 70, 200]) {
    for (const item of [undefined, 1, "x"]) {
      const items = Array.from({ length }, (_, i) => i % 2 === 0 ? undefined : item);
      assert.ok(valueSize(items, 100_000) >= serializedSize(items), `${length} ${item}`);
    }
  }
});

Deno.test("valueSize() of an integer is that of V8's form for small ones", () => {
  for (const n of [0, 63, 64, -64, 8_191, 8_192, 2 ** 20 - 1, 2 ** 20, -(2 ** 29)]) {
    assert.ok(valueSize(n, 100) >= Math.min(serializedSize(n), 6));
  }
});

Deno.test("valueSize() is near the size of rows as Weir stores them", () => {
  const rows: unknown[] = [
    { commit: "0a1b2c3d12", first: 1, endBytes: 100, time: 1.7e12, data: ["x".repeat(100)] },
    { by: "0a1b2c3d4e5f", addresses: ["default/chat", "default/news"] },
    { epoch: 1.7e12, first: 1, last: 10, startBytes: 0, retention: {}, deleted: false },
    { data: [new Uint8Array(200)] },
  ];
  for (const row of rows) {
    assert.ok(valueSize(row, 10_000) <= serializedSize(row) * 1.15);
  }
});

Deno.test("valueSize() stops above the maximum", () => {
  const long = Array.from({ length: 1_000 }, () => "x".repeat(50));
  let reads = 0;
  const watched = new Proxy(long, { get: (target, name) => (reads++, Reflect.get(target, name)) });
  assert.ok(valueSize(watched, 100) > 100);
  assert.ok(reads < 20);
  assert.ok(valueSize("x".repeat(1_000), 100) > 100);
  assert.ok(valueSize({ a: "x".repeat(50), b: watched }, 100) > 100);
  assert.ok(reads < 40);
});

Deno.test("keySize() counts each part of a key", () => {
  assert.equal(keySize(["head", "default", "chat"]), 6 + 9 + 6);
  assert.equal(keySize(["é"]), 3 + 2);
  assert.ok(keySize([1, 2n, true, new Uint8Array(10)]) >= 9 + 3 + 1 + 12);
});
