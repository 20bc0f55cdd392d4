import assert from "node:assert/strict";
import fc from "fast-check";
import { LineSplitter } from "../../../lib/publish/line_splitter.ts";

const MAX_BYTES = 4_096;
const utf8 = new TextEncoder();

function splitter(onGrow: (bytes: number) => void = () => {}) {
  return new LineSplitter({
    maxBytes: MAX_BYTES,
    tooLong: () => new RangeError("too long"),
    onGrow,
  });
}

/** Returns the lines of `chunks`, and the last one. */
function linesOf(chunks: readonly Uint8Array[], lines = splitter()): readonly string[] {
  const texts: string[] = [];
  const add = (line: Uint8Array) => texts.push(new TextDecoder().decode(line));
  for (const chunk of chunks) {
    for (const line of lines.add(chunk)) add(line);
  }
  add(lines.end());
  return texts;
}

Deno.test("LineSplitter finds the lines of a text, wherever it is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom("a", "é", "\n", "\r", " "), maxLength: 40 })),
      fc.array(fc.nat({ max: 9 }), { minLength: 1 }),
      (texts, sizes) => {
        const bytes = utf8.encode(texts.join("\n"));
        const chunks: Uint8Array[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = (sizes[i % sizes.length] ?? 0) + (i >= sizes.length ? 1 : 0);
          chunks.push(bytes.slice(at, at + size));
          at += size;
        }
        assert.deepEqual(linesOf(chunks), texts.join("\n").split("\n"));
      },
    ),
  );
});

Deno.test("LineSplitter refuses a line that is too long, in one part or in many", () => {
  const longest = "x".repeat(MAX_BYTES);
  assert.deepEqual(linesOf([utf8.encode(`${longest}\n${longest}`)]), [longest, longest]);
  const tooLong = utf8.encode(`${longest}x\n`);
  assert.throws(() => linesOf([tooLong]), RangeError);
  assert.throws(() => linesOf(Array.from(tooLong, (byte) => Uint8Array.of(byte))), RangeError);
});

Deno.test("LineSplitter counts its memory, which tiny parts do not multiply", () => {
  let bytes = 0;
  const lines = splitter((more) => bytes += more);
  const line = utf8.encode(`${"x".repeat(3_000)}\n`);
  for (let i = 0; i < 3; i++) {
    for (const byte of line) Array.from(lines.add(Uint8Array.of(byte)));
  }
  assert.equal(bytes, 4_096);
});
