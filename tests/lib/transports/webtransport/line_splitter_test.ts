import assert from "node:assert/strict";
import fc from "fast-check";
import {
  LineSplitter,
  LineTooLarge,
} from "../../../../lib/transports/webtransport/line_splitter.ts";

const utf8 = new TextEncoder();

Deno.test("LineSplitter returns each line once, however the bytes are cut", () => {
  const line = fc.string({ unit: "binary", maxLength: 40 })
    .map((text) => text.replaceAll("\n", "").toWellFormed());
  fc.assert(fc.property(fc.array(line), fc.infiniteStream(fc.nat(9)), (lines, sizes) => {
    const bytes = utf8.encode(lines.map((text) => `${text}\n`).join(""));
    const splitter = new LineSplitter();
    const buffer = new Uint8Array(9); // shared by all chunks, as by those of a stream
    const received: (string | undefined)[] = [];
    for (let at = 0; at < bytes.length;) {
      const chunk = bytes.subarray(at, at + (sizes.next().value ?? 1));
      buffer.set(chunk);
      received.push(...splitter.push(buffer.subarray(0, chunk.length), 1_000));
      at += chunk.length;
    }
    assert.deepEqual(received, lines);
    assert.equal(splitter.waitingBytes, 0);
  }));
});

Deno.test("LineSplitter refuses a line that is too large before it ends", () => {
  const splitter = new LineSplitter();
  assert.deepEqual(splitter.push(utf8.encode("1234\n1234"), 4), ["1234"]);
  assert.equal(splitter.waitingBytes, 4);
  assert.throws(() => splitter.push(utf8.encode("5"), 4), LineTooLarge);
  assert.throws(() => new LineSplitter().push(utf8.encode("12345\n"), 4), LineTooLarge);
});

Deno.test("LineSplitter marks lines that are not UTF-8, and continues after them", () => {
  const splitter = new LineSplitter();
  assert.deepEqual(splitter.push(Uint8Array.of(0x61, 0x0a, 0xff, 0x0a, 0xc3), 10), [
    "a",
    undefined,
  ]);
  assert.deepEqual(splitter.push(Uint8Array.of(0xa4, 0x0a), 10), ["ä"]);
});
