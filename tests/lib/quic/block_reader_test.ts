import assert from "node:assert/strict";
import fc from "fast-check";
import { BlockReader, encodeBlock } from "../../../lib/quic/block_reader.ts";
import { concat } from "../../../lib/quic/bytes.ts";
import { chunksOf, cuts } from "./codes.ts";

const LIMIT = 100;

/** Reads chunks. The type decides what happens with a block: 0 collect, 1 pass on, else skip. */
class Reading {
  readonly found: (readonly [type: number, value: string])[] = [];
  #passing: Uint8Array[] = [];
  #passingLeft = 0;
  readonly reader = new BlockReader({
    begin: (type, length) => {
      if (type > 1) return "skip";
      if (type === 0) {
        if (length > LIMIT) throw new RangeError("too long");
        return "collect";
      }
      this.#passing = [];
      this.#passingLeft = length;
      if (length === 0) this.found.push([type, ""]);
      return "pass";
    },
    collected: (type, value) => this.found.push([type, value.toHex()]),
    part: (type, bytes) => {
      assert.ok(bytes.length > 0);
      this.#passing.push(bytes.slice());
      this.#passingLeft -= bytes.length;
      if (this.#passingLeft === 0) this.found.push([type, concat(...this.#passing).toHex()]);
    },
  });
}

const type = fc.oneof(fc.constantFrom(0, 1, 2), fc.maxSafeNat());
const blocks = fc.array(fc.tuple(type, fc.uint8Array({ maxLength: LIMIT })), { maxLength: 8 });

Deno.test("blocks arrive in order and whole, in chunks of any size", () => {
  fc.assert(fc.property(blocks, cuts, (blocks, cuts) => {
    const reading = new Reading();
    const bytes = concat(...blocks.map(([type, value]) => encodeBlock(type, value)));
    for (const chunk of chunksOf(bytes, cuts)) reading.reader.push(chunk);
    const expected = blocks.filter(([type]) => type <= 1)
      .map(([type, value]) => [type, value.toHex()]);
    assert.deepEqual(reading.found, expected);
    assert.ok(reading.reader.isBetweenBlocks);
  }));
});

Deno.test("a reader knows whether it is between blocks", () => {
  const bytes = encodeBlock(0, Uint8Array.of(1, 2, 3));
  for (let end = 1; end < bytes.length; end++) {
    const { reader } = new Reading();
    reader.push(bytes.subarray(0, end));
    assert.equal(reader.isBetweenBlocks, false);
  }
});

Deno.test("random bytes in any chunks are read or refused by the visitor", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), cuts, (bytes, cuts) => {
    const { reader } = new Reading();
    try {
      for (const chunk of chunksOf(bytes, cuts)) reader.push(chunk);
    } catch (cause) {
      assert.ok(cause instanceof RangeError && cause.message === "too long", String(cause));
    }
  }));
});

Deno.test("a block of 2^62 bytes that is skipped takes no memory", () => {
  const { reader } = new Reading();
  reader.push(Uint8Array.fromHex("02ffffffffffffffff"));
  for (let i = 0; i < 1_000; i++) reader.push(new Uint8Array(65_536));
  assert.equal(reader.isBetweenBlocks, false);
});
