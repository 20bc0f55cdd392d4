import { Http3Error } from "./http3_error.ts";

/**
 * The bits of each symbol's code (RFC 7541, Appendix B). The code is canonical: codes count upward,
 * the shorter ones first, and those of one length in the order of their symbols. So the lengths say
 * everything.
 */
// deno-fmt-ignore
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

/** The symbol that ends a string. It is only used, in part, to fill the last byte. */
const END_OF_STRING = 256;
const LONGEST_CODE_BITS = 30;
/** A last byte may have at most this many bits of padding. */
const MAX_PADDING_BITS = 7;

/** The codes of one length: `count` codes from `first`, of the symbols from `index` on. */
interface CodesOfLength {
  readonly first: number;
  readonly count: number;
  readonly index: number;
}

/** The symbols in the order of their codes. */
const SYMBOLS: readonly number[] = [...CODE_BITS.keys()]
  .sort((a, b) => bitsOf(a) - bitsOf(b) || a - b);
const BY_LENGTH: readonly CodesOfLength[] = codesByLength();
const CODES: readonly number[] = codesBySymbol();

/** Decodes a string. @throws {Http3Error} QPACK_DECOMPRESSION_FAILED */
export function decodeHuffman(bytes: Uint8Array): Uint8Array {
  // The shortest codes have 5 bits.
  const text = new Uint8Array(Math.floor(bytes.length * 8 / 5));
  let length = 0;
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code << 1 | byte >> bit & 1;
      bits++;
      const group = BY_LENGTH[bits];
      if (group === undefined) throw failure("no code is as long");
      const place = code - group.first;
      if (place >= group.count) continue;
      const symbol = SYMBOLS[group.index + place];
      if (symbol === undefined || symbol === END_OF_STRING) throw failure("it has the EOS symbol");
      text[length++] = symbol;
      code = 0;
      bits = 0;
    }
  }
  if (bits > MAX_PADDING_BITS) throw failure("the padding is longer than 7 bits");
  if (code !== (1 << bits) - 1) throw failure("the padding is not the start of the EOS symbol");
  return text.slice(0, length);
}

/** Encodes a string. */
export function encodeHuffman(text: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(huffmanLength(text));
  let at = 0;
  let rest = 0;
  let bits = 0;
  for (const symbol of text) {
    const length = bitsOf(symbol);
    const code = CODES[symbol] ?? 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      rest = rest << 1 | code >> bit & 1;
      if (++bits < 8) continue;
      bytes[at++] = rest;
      rest = 0;
      bits = 0;
    }
  }
  if (bits > 0) bytes[at] = rest << 8 - bits | (1 << 8 - bits) - 1;
  return bytes;
}

/** Returns the number of bytes in which {@link encodeHuffman} encodes `text`. */
export function huffmanLength(text: Uint8Array): number {
  let bits = 0;
  for (const symbol of text) bits += bitsOf(symbol);
  return Math.ceil(bits / 8);
}

function bitsOf(symbol: number): number {
  return CODE_BITS[symbol] ?? 0;
}

function codesByLength(): readonly CodesOfLength[] {
  const groups: CodesOfLength[] = [];
  let first = 0;
  let index = 0;
  for (let bits = 0; bits <= LONGEST_CODE_BITS; bits++) {
    const count = CODE_BITS.filter((length) => length === bits).length;
    groups.push({ first, count, index });
    first = first + count << 1;
    index += count;
  }
  return groups;
}

function codesBySymbol(): readonly number[] {
  const codes: number[] = [];
  for (const { first, count, index } of BY_LENGTH) {
    for (let i = 0; i < count; i++) codes[SYMBOLS[index + i] ?? 0] = first + i;
  }
  return codes;
}

function failure(why: string): Http3Error {
  return new Http3Error("QPACK_DECOMPRESSION_FAILED", `Cannot decode a Huffman string: ${why}`);
}
