import assert from "node:assert/strict";
import fc from "fast-check";
import { Bitmap } from "../../../../../lib/client/rtc/files/bitmap.ts";

const sets = fc.integer({ min: 0, max: 300 }).chain((length) =>
  fc.record({
    length: fc.constant(length),
    indexes: length === 0
      ? fc.constant<number[]>([])
      : fc.uniqueArray<number, unknown>(fc.integer({ min: 0, max: length - 1 })),
  })
);

Deno.test("a bitmap is a set of numbers, also after its way as text", () => {
  fc.assert(fc.property(sets, ({ length, indexes }) => {
    const bitmap = new Bitmap(length);
    for (const index of indexes) assert.equal(bitmap.add(index), true);
    for (const index of indexes) assert.equal(bitmap.add(index), false);
    const parsed = Bitmap.parse(length, bitmap.toBase64());
    for (const set of [bitmap, parsed]) {
      assert.equal(set?.count, indexes.length);
      assert.equal(set?.isFull, indexes.length === length);
      const missing = [...set?.missing() ?? []];
      assert.equal(missing.length, length - indexes.length);
      assert.ok(missing.every((index) => !indexes.includes(index) && !set?.has(index)));
    }
  }));
});

Deno.test("a bitmap parses nothing but base64 of its own length, without bits past it", () => {
  const text = new Bitmap(20).toBase64();
  assert.ok(Bitmap.parse(20, text));
  for (const length of [0, 1, 16, 25, 40]) assert.equal(Bitmap.parse(length, text), undefined);
  for (const bad of ["", "AAA", "AAA=", "AA==", "A AA", "AAAAAAAA", "////", "AAAg", "<b>!"]) {
    assert.equal(Bitmap.parse(20, bad), undefined, bad);
  }
  fc.assert(fc.property(fc.nat(200), fc.string(), (length, text) => {
    const bitmap = Bitmap.parse(length, text);
    if (bitmap !== undefined) assert.equal(bitmap.toBase64(), text);
  }));
});
