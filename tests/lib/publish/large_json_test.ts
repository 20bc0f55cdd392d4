import assert from "node:assert/strict";
import { decodeLargeUtf8, largeTextHasLongNumber } from "../../../lib/publish/large_json.ts";
import { TURN_CHARS } from "../../../lib/publish/large_text_turns.ts";

const utf8 = new TextEncoder();

Deno.test("a long text is decoded correctly wherever its parts end", async () => {
  for (let shift = 0; shift < 4; shift++) {
    for (const character of ["é", "€", "😀", "\u{FEFF}"]) {
      const text = "x".repeat(shift) + character.repeat(TURN_CHARS);
      assert.equal(await decodeLargeUtf8(utf8.encode(text)), text);
    }
  }
});

Deno.test("a long text that is not UTF-8 is refused", async () => {
  for (
    const bytes of [[0x80], [0xff], [0xe2, 0x82], [0xc3, 0x28], [0x80, 0x80, 0x80, 0x80, 0x80]]
  ) {
    for (const start of [0, TURN_CHARS - 2, TURN_CHARS - 1, TURN_CHARS, 2 * TURN_CHARS]) {
      const body = new Uint8Array(start + bytes.length).fill(0x20);
      body.set(bytes, start);
      await assert.rejects(decodeLargeUtf8(body), { code: "bad_encoding" });
    }
  }
});

Deno.test("a long number is found wherever the parts of a long text end", async () => {
  for (let start = TURN_CHARS - 18; start <= TURN_CHARS + 1; start++) {
    const before = " ".repeat(start);
    assert.equal(await largeTextHasLongNumber(`${before}1234567890123456`), true, `${start}`);
    assert.equal(await largeTextHasLongNumber(`${before}123456789012345 6`), false, `${start}`);
  }
});
