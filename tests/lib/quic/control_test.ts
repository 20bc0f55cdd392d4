import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBlock } from "../../../lib/quic/block_reader.ts";
import { concat } from "../../../lib/quic/bytes.ts";
import { ClientControl } from "../../../lib/quic/client_control.ts";
import { FRAME } from "../../../lib/quic/frame.ts";
import { checkEncoderInstructions, DecoderInstructions } from "../../../lib/quic/qpack_streams.ts";
import { SETTING, settingsFrame } from "../../../lib/quic/settings.ts";
import { changed, chunksOf, code, type Cuts, cuts } from "./codes.ts";

const SETTINGS = settingsFrame([[SETTING.H3_DATAGRAM, 1]]);
const GREASE = encodeBlock(0x21, Uint8Array.of(1));

/** Returns how often settings were taken. */
function readControl(bytes: Uint8Array, cuts: Cuts = []): number {
  let count = 0;
  const control = new ClientControl(() => count++);
  for (const chunk of chunksOf(bytes, cuts)) control.push(chunk);
  return count;
}

Deno.test("a control stream begins with settings; unknown frames are ignored", () => {
  const bytes = concat(SETTINGS, GREASE, encodeBlock(FRAME.GOAWAY, Uint8Array.of(0)), GREASE);
  fc.assert(fc.property(cuts, (cuts) => assert.equal(readControl(bytes, cuts), 1)));
});

Deno.test("frames that must not come on a control stream are refused", () => {
  const after = (type: number, length = 1) =>
    code(() => readControl(concat(SETTINGS, encodeBlock(type, new Uint8Array(length)))));
  for (const type of [FRAME.DATA, FRAME.HEADERS, FRAME.PUSH_PROMISE, 0x02, 0x06, 0x08, 0x09]) {
    assert.equal(after(type), "FRAME_UNEXPECTED");
  }
  assert.equal(after(FRAME.SETTINGS, 0), "FRAME_UNEXPECTED");
  assert.equal(after(FRAME.CANCEL_PUSH), "ID_ERROR");
  assert.equal(after(FRAME.GOAWAY, 9), "FRAME_ERROR");
  assert.equal(after(FRAME.MAX_PUSH_ID, 0), "FRAME_ERROR");
  assert.equal(after(FRAME.MAX_PUSH_ID), undefined);
  assert.equal(code(() => readControl(GREASE)), "MISSING_SETTINGS");
  assert.equal(code(() => readControl(Uint8Array.fromHex("04bfffffff"))), "EXCESSIVE_LOAD");
});

Deno.test("random and changed control streams in any chunks throw typed errors only", () => {
  const valid = fc.constant(concat(SETTINGS, GREASE, SETTINGS));
  fc.assert(fc.property(fc.oneof(fc.uint8Array(), changed(valid)), cuts, (bytes, cuts) => {
    code(() => readControl(bytes, cuts));
  }));
});

Deno.test("an encoder stream may only set the capacity to 0", () => {
  assert.equal(code(() => checkEncoderInstructions(Uint8Array.of(0x20, 0x20))), undefined);
  for (const hex of ["3fe11f", "c00130", "4a", "00", "2021"]) {
    const name = code(() => checkEncoderInstructions(Uint8Array.fromHex(hex)));
    assert.equal(name, "QPACK_ENCODER_STREAM_ERROR");
  }
});

Deno.test("a decoder stream may only cancel streams, in chunks of any size", () => {
  const read = (bytes: Uint8Array, cuts: Cuts) => {
    const decoder = new DecoderInstructions();
    return code(() => chunksOf(bytes, cuts).forEach((chunk) => decoder.push(chunk)));
  };
  const cancellations = Uint8Array.fromHex("40447fff80017f00");
  fc.assert(fc.property(fc.uint8Array(), cuts, (bytes, cuts) => {
    assert.equal(read(cancellations, cuts), undefined);
    const wrong = concat(cancellations, Uint8Array.of(0x84));
    assert.equal(read(wrong, cuts), "QPACK_DECODER_STREAM_ERROR");
    const name = read(bytes, cuts);
    assert.ok(name === undefined || name === "QPACK_DECODER_STREAM_ERROR");
  }));
  assert.equal(read(Uint8Array.of(0x01), []), "QPACK_DECODER_STREAM_ERROR");
});
