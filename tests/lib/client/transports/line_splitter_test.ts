import assert from "node:assert/strict";
import fc from "fast-check";
import { LineSplitter } from "../../../../lib/client/transports/line_splitter.ts";

Deno.test("lines come out whole and in order, however their bytes are cut", () => {
  fc.assert(fc.property(
    fc.array(fc.string({ unit: "grapheme" }).filter((line) => !line.includes("\n"))),
    fc.string().filter((rest) => !rest.includes("\n")),
    fc.array(fc.nat(40)),
    (lines, rest, cuts) => {
      const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join("") + rest);
      const splitter = new LineSplitter();
      const found: string[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const end = at + (i < cuts.length ? cuts[i] ?? 0 : bytes.length);
        const text = splitter.push(bytes.subarray(at, end));
        if (text !== undefined) found.push(...text.split("\n"));
        at = end;
      }
      assert.deepEqual(found, lines);
    },
  ));
});

Deno.test("a line that does not end, or is not UTF-8, is refused", () => {
  const splitter = new LineSplitter();
  const piece = new Uint8Array(1024 ** 2).fill(0x78);
  for (let i = 0; i < 16; i++) assert.equal(splitter.push(piece), undefined);
  assert.throws(() => splitter.push(piece), { code: "bad_answer" });
  assert.throws(() => new LineSplitter().push(new Uint8Array([0xc3, 0x0a])), TypeError);
});
