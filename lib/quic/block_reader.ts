import { concat } from "./bytes.ts";
import { decodeVarint, encodeVarint } from "./varint.ts";

/**
 * What happens with the value of a block: it comes as a whole, part by part as it arrives, or not
 * at all.
 */
export type Treatment = "collect" | "pass" | "skip";

/** Gets the blocks of a {@link BlockReader}, in order. May throw; the error leaves `push()`. */
interface BlockVisitor {
  /** Decides what happens with a block. Must refuse a length that is too large to collect. */
  begin(type: number, length: number): Treatment;
  /** The whole value of a block to collect. */
  collected(type: number, value: Uint8Array): void;
  /** A part of the value of a block to pass on. */
  part(type: number, bytes: Uint8Array): void;
}

/** The longest type and length: two integers of 8 bytes. */
const MAX_HEADER_BYTES = 16;

/**
 * Reads a sequence of type, length and value, which both the frames of HTTP/3 (RFC 9114, section
 * 7.1) and capsules (RFC 9297, section 3.2) are. The bytes may come in any chunks. It keeps at most
 * one value that its visitor wants to collect.
 */
export class BlockReader {
  readonly #visitor: BlockVisitor;
  /** The start of a type and length. */
  #header = new Uint8Array();
  #type = 0;
  #treatment: Treatment = "skip";
  /** Bytes of the current value that are still to come; undefined between two blocks. */
  #left: number | undefined;
  #value = new Uint8Array();

  constructor(visitor: BlockVisitor) {
    this.#visitor = visitor;
  }

  /** Whether the bytes so far end between two blocks. */
  get isBetweenBlocks(): boolean {
    return this.#left === undefined && this.#header.length === 0;
  }

  /** Takes the next bytes. @throws what the visitor throws. */
  push(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      rest = this.#left === undefined ? this.#readHeader(rest) : this.#readValue(rest, this.#left);
    }
  }

  #readHeader(bytes: Uint8Array): Uint8Array {
    const known = this.#header.length;
    const header = known === 0
      ? bytes
      : concat(this.#header, bytes.subarray(0, MAX_HEADER_BYTES - known));
    const type = decodeVarint(header);
    const length = type && decodeVarint(header, type.length);
    if (type === undefined || length === undefined) {
      this.#header = header.slice();
      return new Uint8Array();
    }
    this.#header = new Uint8Array();
    this.#type = type.value;
    this.#treatment = this.#visitor.begin(type.value, length.value);
    this.#left = length.value;
    if (this.#treatment === "collect") this.#value = new Uint8Array(length.value);
    if (length.value === 0) this.#end();
    return bytes.subarray(type.length + length.length - known);
  }

  #readValue(bytes: Uint8Array, left: number): Uint8Array {
    const part = bytes.subarray(0, left);
    if (this.#treatment === "collect") this.#value.set(part, this.#value.length - left);
    if (this.#treatment === "pass") this.#visitor.part(this.#type, part);
    this.#left = left - part.length;
    if (this.#left === 0) this.#end();
    return bytes.subarray(part.length);
  }

  #end(): void {
    const value = this.#value;
    this.#left = undefined;
    this.#value = new Uint8Array();
    if (this.#treatment === "collect") this.#visitor.collected(this.#type, value);
  }
}

/** Encodes a frame or capsule. */
export function encodeBlock(type: number, value: Uint8Array): Uint8Array {
  return concat(encodeVarint(type), encodeVarint(value.length), value);
}
