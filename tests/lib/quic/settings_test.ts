import assert from "node:assert/strict";
import fc from "fast-check";
import {
  checkSettings,
  decodeSettings,
  SETTING,
  settingsFrame,
} from "../../../lib/quic/settings.ts";
import { MAX_FIELD_SECTION_BYTES } from "../../../lib/quic/qpack.ts";
import { changed, code } from "./codes.ts";

/** Removes the type and the length, which are one byte each. */
function valueOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(2);
}

const settings = fc.uniqueArray(
  fc.tuple(fc.maxSafeNat().filter((id) => id === 1 || id > 5), fc.maxSafeNat()),
  { selector: ([id]) => id, maxLength: 3 },
);

Deno.test("a server offers WebTransport in all drafts, and no dynamic table", () => {
  const sent = decodeSettings(valueOf(settingsFrame()));
  assert.deepEqual(Object.fromEntries(sent), {
    [SETTING.QPACK_MAX_TABLE_CAPACITY]: 0,
    [SETTING.MAX_FIELD_SECTION_SIZE]: MAX_FIELD_SECTION_BYTES,
    [SETTING.ENABLE_CONNECT_PROTOCOL]: 1,
    [SETTING.H3_DATAGRAM]: 1,
    [SETTING.H3_DATAGRAM_DRAFT04]: 1,
    [SETTING.ENABLE_WEBTRANSPORT]: 1,
    [SETTING.WEBTRANSPORT_MAX_SESSIONS]: 1,
    [SETTING.WT_MAX_SESSIONS]: 1,
    [SETTING.WT_ENABLED]: 1,
  });
  checkSettings(sent);
});

Deno.test("decoding settings gives what was encoded", () => {
  fc.assert(fc.property(settings, (settings) => {
    assert.deepEqual([...decodeSettings(valueOf(settingsFrame(settings)))], settings);
  }));
});

Deno.test("random and changed settings are decoded or throw a typed error", () => {
  const input = fc.oneof(
    fc.uint8Array(),
    changed(settings.map((settings) => valueOf(settingsFrame(settings)))),
  );
  fc.assert(fc.property(input, (bytes) => {
    const name = code(() => checkSettings(decodeSettings(bytes)));
    assert.ok(name === undefined || name === "FRAME_ERROR" || name === "SETTINGS_ERROR");
  }));
});

Deno.test("settings of HTTP/2, repeated ones and incomplete ones are refused", () => {
  const decode = (hex: string) => code(() => decodeSettings(Uint8Array.fromHex(hex)));
  for (const id of ["00", "02", "03", "04", "05"]) {
    assert.equal(decode(`${id}01`), "SETTINGS_ERROR");
  }
  assert.equal(decode("33013301"), "SETTINGS_ERROR");
  assert.equal(decode("33"), "FRAME_ERROR");
  assert.equal(decode("3340"), "FRAME_ERROR");
});

Deno.test("a client without datagrams is refused", () => {
  const check = (...settings: [number, number][]) => code(() => checkSettings(new Map(settings)));
  assert.equal(check(), "SETTINGS_ERROR");
  assert.equal(check([SETTING.H3_DATAGRAM, 0]), "SETTINGS_ERROR");
  assert.equal(check([SETTING.H3_DATAGRAM, 2]), "SETTINGS_ERROR");
  assert.equal(check([SETTING.H3_DATAGRAM, 1]), undefined);
  assert.equal(check([SETTING.H3_DATAGRAM_DRAFT04, 1]), undefined);
});
