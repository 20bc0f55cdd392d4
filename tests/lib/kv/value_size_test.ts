import assert from "node:assert/strict";
import { serialize } from "node:v8";
import fc from "fast-check";
import { sizeUpTo } from "../../../lib/kv/value_size.ts";

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constantFrom(null, undefined),
    fc.uint8Array({ maxLength: 60 }),
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(fc.string({ unit: "grapheme-ascii", maxLength: 10 }), tie("value"), {
      maxKeys: 6,
    }),
  ),
})).value;

Deno.test("sizeUpTo() is at least the size of the serialization", () => {
  fc.assert(fc.property(value, (value) => {
    const { length } = serialize(value);
    const size = sizeUpTo(100_000, value);
    assert.ok(size >= length - 2, `${size} < ${length}`); // without the version of the format
  }));
});

Deno.test("sizeUpTo() is near the size of rows as Weir stores them", () => {
  const rows: unknown[] = [
    { commit: "0a1b2c3d12", first: 1, endBytes: 100, time: 1.7e12, data: ["x".repeat(100)] },
    { by: crypto.randomUUID(), addresses: ["default/chat", "default/news"] },
    { epoch: 1.7e12, first: 1, last: 10, startBytes: 0, retention: {}, deleted: false },
  ];
  for (const row of rows) {
    assert.ok(sizeUpTo(10_000, row) < serialize(row).length + 60);
  }
});

Deno.test("sizeUpTo() stops above the maximum", () => {
  const long = Array.from({ length: 1_000 }, () => "x".repeat(50));
  let reads = 0;
  const watched = new Proxy(long, { get: (target, name) => (reads++, Reflect.get(target, name)) });
  assert.ok(sizeUpTo(100, watched) > 100);
  assert.ok(reads < 20);
  assert.ok(sizeUpTo(100, "x".repeat(1_000)) > 100);
});
