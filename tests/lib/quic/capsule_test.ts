import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBlock } from "../../../lib/quic/block_reader.ts";
import { concat } from "../../../lib/quic/bytes.ts";
import { CapsuleReader, closeCapsule } from "../../../lib/quic/capsule.ts";
import { changed, chunksOf, code, type Cuts, cuts } from "./codes.ts";

const close = fc.record({
  code: fc.nat(0xffff_ffff),
  reason: fc.string({ unit: "grapheme", maxLength: 60 }),
}, { noNullPrototype: true });
/** Capsules that are ignored, of which WT_DRAIN_SESSION is one. */
const others = fc.array(
  fc.tuple(fc.constantFrom(0, 0x78ae, 0x190b4d3f, 0x2b603743), fc.uint8Array()),
  { maxLength: 4 },
).map((capsules) => concat(...capsules.map(([type, value]) => encodeBlock(type, value))));

function read(bytes: Uint8Array, cuts: Cuts = []): CapsuleReader {
  const reader = new CapsuleReader();
  for (const chunk of chunksOf(bytes, cuts)) reader.push(chunk);
  return reader;
}

Deno.test("a close is found after other capsules, in chunks of any size", () => {
  fc.assert(fc.property(others, close, cuts, (others, close, cuts) => {
    const reader = read(concat(others, closeCapsule(close)), cuts);
    assert.deepEqual(reader.close, close);
    assert.ok(reader.isBetweenCapsules);
  }));
});

Deno.test("a reason is cut to 1,024 bytes, between two characters", () => {
  const { close } = read(closeCapsule({ code: 1, reason: "ü".repeat(600) }));
  assert.deepEqual(close, { code: 1, reason: "ü".repeat(512) });
  const odd = read(closeCapsule({ code: 1, reason: "x" + "ü".repeat(600) }));
  assert.deepEqual(odd.close, { code: 1, reason: "x" + "ü".repeat(511) });
});

Deno.test("a close of the wrong length, and what follows a close, are refused", () => {
  const raw = (bytes: number) => encodeBlock(0x2843, new Uint8Array(bytes));
  for (const bytes of [0, 3, 1_029]) assert.equal(code(() => read(raw(bytes))), "MESSAGE_ERROR");
  for (const bytes of [4, 1_028]) assert.equal(code(() => read(raw(bytes))), undefined);
  assert.equal(code(() => read(concat(raw(4), encodeBlock(0, new Uint8Array())))), "MESSAGE_ERROR");
});

Deno.test("a capsule that is too large is refused when its length arrives", () => {
  assert.equal(code(() => read(Uint8Array.fromHex("00bfffffff"))), "EXCESSIVE_LOAD");
});

Deno.test("random and changed capsules in any chunks are read or throw a typed error", () => {
  const valid = fc.tuple(others, close).map(([others, close]) => {
    return concat(others, closeCapsule(close));
  });
  fc.assert(fc.property(fc.oneof(fc.uint8Array(), changed(valid)), cuts, (bytes, cuts) => {
    code(() => read(bytes, cuts));
  }));
});
