import assert from "node:assert/strict";
import fc from "fast-check";
import { type H3CodeName, Http3Error } from "../../../lib/quic/http3_error.ts";

/** Returns the code that `work` throws, or undefined. Fails for any other error. */
export function code(work: () => unknown): H3CodeName | undefined {
  try {
    work();
    return undefined;
  } catch (cause) {
    assert.ok(cause instanceof Http3Error, String(cause));
    return cause.codeName;
  }
}

/** Where bytes are cut into chunks. */
export type Cuts = readonly number[] | "each byte";

export const cuts: fc.Arbitrary<Cuts> = fc.oneof(
  fc.array(fc.nat(), { maxLength: 6 }),
  fc.constant("each byte" as const),
);

/** Cuts bytes into chunks. */
export function chunksOf(bytes: Uint8Array, cuts: Cuts): readonly Uint8Array[] {
  if (cuts === "each byte") return [...bytes].map((byte) => Uint8Array.of(byte));
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...places].map((start, i) => bytes.subarray(start, places[i] ?? bytes.length));
}

/** Valid bytes of which one is changed, removed or repeated. */
export function changed(valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc.tuple(valid, fc.nat(), fc.nat(255), fc.nat(2)).map(([bytes, place, byte, kind]) => {
    const at = place % Math.max(1, bytes.length);
    const replacement = kind === 0 ? [byte] : kind === 1 ? [] : [bytes[at] ?? 0, byte];
    return Uint8Array.from([...bytes.subarray(0, at), ...replacement, ...bytes.subarray(at + 1)]);
  });
}
