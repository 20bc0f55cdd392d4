/** A decoded integer and the number of bytes that it takes. */
interface Varint {
  readonly value: number;
  readonly length: number;
}

/**
 * Decodes the variable-length integer (RFC 9000, section 16) at `at`. Returns undefined if more
 * bytes are needed. Values above 2^53 are rounded: no id or length that this layer accepts is as
 * large.
 */
export function decodeVarint(bytes: Uint8Array, at = 0): Varint | undefined {
  const first = bytes[at];
  if (first === undefined) return undefined;
  const length = 1 << (first >> 6);
  if (at + length > bytes.length) return undefined;
  let value = first & 0x3f;
  for (let i = 1; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return { value, length };
}

/**
 * Encodes an integer in as few bytes as possible.
 *
 * @throws {RangeError} if `value` is not a safe integer, or negative.
 */
export function encodeVarint(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`Cannot encode ${value}: it is not an integer from 0 to 2^53 - 1`);
  }
  const length = value < 0x40 ? 1 : value < 0x4000 ? 2 : value < 0x4000_0000 ? 4 : 8;
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes[0] = (bytes[0] ?? 0) | Math.log2(length) << 6;
  return bytes;
}
