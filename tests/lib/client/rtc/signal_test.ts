import assert from "node:assert/strict";
import fc from "fast-check";
import { parseSignal } from "../../../../lib/client/rtc/signal.ts";

const SIGNAL = { connection: 0, id: "a", n: 1 };

Deno.test("parseSignal() accepts what a connection sends", () => {
  for (
    const signal of [
      SIGNAL,
      { ...SIGNAL, for: "b", begin: true },
      { ...SIGNAL, connection: 15, description: { type: "offer", sdp: "v=0" } },
      { ...SIGNAL, candidates: [{ candidate: "candidate:1", sdpMid: "0" }], end: true },
    ]
  ) assert.equal(parseSignal(signal), signal);
});

Deno.test("parseSignal() refuses everything else, and never throws", () => {
  for (
    const data of [
      null,
      undefined,
      "text",
      [],
      { ...SIGNAL, connection: -1 },
      { ...SIGNAL, connection: 16 },
      { ...SIGNAL, connection: 0.5 },
      { ...SIGNAL, id: 7 },
      { ...SIGNAL, id: "a".repeat(65) },
      { ...SIGNAL, for: "a".repeat(65) },
      { ...SIGNAL, candidates: Array.from({ length: 257 }, () => ({ candidate: "" })) },
      { ...SIGNAL, n: "1" },
      { ...SIGNAL, for: null },
      { ...SIGNAL, description: null },
      { ...SIGNAL, description: { type: "rollback" } },
      { ...SIGNAL, description: { type: "pranswer", sdp: "" } },
      { ...SIGNAL, candidates: {} },
    ]
  ) assert.equal(parseSignal(data), undefined);
  fc.assert(fc.property(fc.jsonValue(), (data) => {
    const signal = parseSignal(data);
    assert.ok(signal === undefined || signal.connection < 16);
  }));
});
