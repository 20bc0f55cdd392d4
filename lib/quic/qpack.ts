import { concat } from "./bytes.ts";
import { Http3Error } from "./http3_error.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "./huffman.ts";
import { STATIC_TABLE } from "./static_table.ts";

/** A name and its value, both with a character for each byte (Latin-1). */
export type Field = readonly [name: string, value: string];

/**
 * The size of a field section above which it is refused, as RFC 9114 (section 4.2.2) counts it.
 * Guards against requests that take memory, and against short ones that decompress to long ones.
 * SETTINGS_MAX_FIELD_SECTION_SIZE says it to clients.
 */
export const MAX_FIELD_SECTION_BYTES = 16_384;
/** What RFC 9114 counts for each field in addition to its name and value. */
const FIELD_OVERHEAD_BYTES = 32;
/** Guards against integers that are encoded in endless bytes. Larger ones are never needed. */
const MAX_INTEGER = 2 ** 32;

/** The highest bits of a byte say which representation follows (RFC 9204, section 4.5). */
const INDEXED = 0x80;
const INDEXED_STATIC = 0x40;
const NAMED = 0x40;
const NAMED_STATIC = 0x10;
const LITERAL = 0x20;
const LITERAL_HUFFMAN = 0x08;
const VALUE_HUFFMAN = 0x80;

/**
 * Decodes an encoded field section (RFC 9204, section 4.5). Only the static table may be used: the
 * capacity of the dynamic one is 0.
 *
 * @throws {Http3Error} QPACK_DECOMPRESSION_FAILED, or EXCESSIVE_LOAD if the section is larger than
 * {@link MAX_FIELD_SECTION_BYTES}.
 */
export function decodeFieldSection(bytes: Uint8Array): readonly Field[] {
  const reader = new SectionReader(bytes);
  if (reader.integer(8) !== 0) throw failure("it needs the dynamic table");
  if (reader.integer(7) !== 0) throw failure("its base is not 0");
  const fields: Field[] = [];
  let size = 0;
  while (!reader.isAtEnd) {
    const field = reader.field();
    size += field[0].length + field[1].length + FIELD_OVERHEAD_BYTES;
    if (size > MAX_FIELD_SECTION_BYTES) {
      throw new Http3Error(
        "EXCESSIVE_LOAD",
        `A field section is over ${MAX_FIELD_SECTION_BYTES} B`,
      );
    }
    fields.push(field);
  }
  return fields;
}

/** Encodes a field section. Strings are compressed where that makes them shorter. */
export function encodeFieldSection(fields: readonly Field[]): Uint8Array {
  return concat(Uint8Array.of(0, 0), ...fields.map(encodeField));
}

class SectionReader {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  get isAtEnd(): boolean {
    return this.#at >= this.bytes.length;
  }

  field(): Field {
    const first = this.bytes[this.#at] ?? 0;
    if ((first & INDEXED) !== 0) {
      if ((first & INDEXED_STATIC) === 0) throw failure("it uses the dynamic table");
      return staticField(this.integer(6));
    }
    if ((first & NAMED) !== 0) {
      if ((first & NAMED_STATIC) === 0) throw failure("it uses the dynamic table");
      const [name] = staticField(this.integer(4));
      return [name, this.string(7, VALUE_HUFFMAN)];
    }
    if ((first & LITERAL) === 0) throw failure("it uses the dynamic table");
    const name = this.string(3, LITERAL_HUFFMAN);
    return [name, this.string(7, VALUE_HUFFMAN)];
  }

  /** Reads an integer with a prefix of this many bits (RFC 7541, section 5.1). */
  integer(prefixBits: number): number {
    const max = (1 << prefixBits) - 1;
    let value = this.#byte() & max;
    if (value < max) return value;
    for (let factor = 1;; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (value > MAX_INTEGER || factor > MAX_INTEGER) throw failure("an integer is too large");
      if (byte < 0x80) return value;
    }
  }

  string(prefixBits: number, huffmanFlag: number): string {
    const isHuffman = ((this.bytes[this.#at] ?? 0) & huffmanFlag) !== 0;
    const length = this.integer(prefixBits);
    const end = this.#at + length;
    if (end > this.bytes.length) throw failure("it ends within a string");
    const text = this.bytes.subarray(this.#at, end);
    this.#at = end;
    return latin1Of(isHuffman ? decodeHuffman(text) : text);
  }

  #byte(): number {
    const byte = this.bytes[this.#at++];
    if (byte === undefined) throw failure("it ends within an integer");
    return byte;
  }
}

function staticField(index: number): Field {
  const field = STATIC_TABLE[index];
  if (field === undefined) throw failure(`the static table has no index ${index}`);
  return field;
}

function encodeField([name, value]: Field): Uint8Array {
  const exact = STATIC_TABLE.findIndex((field) => field[0] === name && field[1] === value);
  if (exact >= 0) return encodeInteger(exact, 6, INDEXED | INDEXED_STATIC);
  const named = STATIC_TABLE.findIndex((field) => field[0] === name);
  return concat(
    named >= 0
      ? encodeInteger(named, 4, NAMED | NAMED_STATIC)
      : encodeString(name, 3, LITERAL, LITERAL_HUFFMAN),
    encodeString(value, 7, 0, VALUE_HUFFMAN),
  );
}

function encodeInteger(value: number, prefixBits: number, flags: number): Uint8Array {
  const max = (1 << prefixBits) - 1;
  if (value < max) return Uint8Array.of(flags | value);
  const bytes = [flags | max];
  for (let rest = value - max;; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.of(...bytes, rest);
    bytes.push(0x80 | rest % 128);
  }
}

function encodeString(
  text: string,
  prefixBits: number,
  flags: number,
  huffmanFlag: number,
): Uint8Array {
  const plain = Uint8Array.from(text, (character) => character.charCodeAt(0));
  if (huffmanLength(plain) >= plain.length) {
    return concat(encodeInteger(plain.length, prefixBits, flags), plain);
  }
  const short = encodeHuffman(plain);
  return concat(encodeInteger(short.length, prefixBits, flags | huffmanFlag), short);
}

function latin1Of(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function failure(why: string): Http3Error {
  return new Http3Error("QPACK_DECOMPRESSION_FAILED", `Cannot decode a field section: ${why}`);
}
