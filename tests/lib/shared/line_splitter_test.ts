import assert from "node:assert/strict";
import fc from "fast-check";
import { LineSplitter, LineTooLarge } from "../../../lib/shared/line_splitter.ts";

const utf8 = new TextEncoder();

/** Returns the lines that end in `chunk`, as texts. */
function linesIn(splitter: LineSplitter, chunk: Uint8Array, maxBytes: number): readonly string[] {
  return Array.from(splitter.push(chunk, maxBytes), (line) => new TextDecoder().decode(line));
}

Deno.test("LineSplitter returns each line once, however the bytes are cut", () => {
  const line = fc.string({ unit: "binary", maxLength: 40 })
    .map((text) => text.replaceAll("\n", "").toWellFormed());
  fc.assert(fc.property(fc.array(line), fc.infiniteStream(fc.nat(9)), (lines, sizes) => {
    const bytes = utf8.encode(lines.map((text) => `${text}\n`).join(""));
    const splitter = new LineSplitter();
    const buffer = new Uint8Array(9); // shared by all chunks, as by those of a stream
    const received: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const chunk = bytes.subarray(at, at + (sizes.next().value ?? 1));
      buffer.set(chunk);
      received.push(...linesIn(splitter, buffer.subarray(0, chunk.length), 1_000));
      at += chunk.length;
    }
    assert.deepEqual(received, lines);
    assert.equal(splitter.waitingBytes, 0);
  }));
});

Deno.test("LineSplitter refuses a line that is too large before it ends", () => {
  const splitter = new LineSplitter();
  assert.deepEqual(linesIn(splitter, utf8.encode("1234\n1234"), 4), ["1234"]);
  assert.equal(splitter.waitingBytes, 4);
  assert.throws(() => linesIn(splitter, utf8.encode("5"), 4), LineTooLarge);
  assert.throws(() => linesIn(new LineSplitter(), utf8.encode("12345\n"), 4), LineTooLarge);
});

Deno.test("LineSplitter gives what follows the last line feed as the last line", () => {
  const splitter = new LineSplitter();
  assert.deepEqual(linesIn(splitter, utf8.encode("a\n\nb"), 10), ["a", ""]);
  assert.deepEqual(splitter.end(), utf8.encode("b"));
  assert.deepEqual(splitter.end(), new Uint8Array());
});
