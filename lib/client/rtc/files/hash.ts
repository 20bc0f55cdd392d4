import { HASH_BYTES } from "./layout.ts";

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/**
 * The SHA-256 of each chunk of a file, and of the whole as a hash tree of two levels: the SHA-256
 * of all chunks' hashes in order. WebCrypto has no incremental digest, so the SHA-256 of the
 * file's bytes would need all of them in memory.
 */
export class HashTree {
  readonly #hashes: Uint8Array<ArrayBuffer>;
  readonly #known: Uint8Array<ArrayBuffer>;

  constructor(chunks: number) {
    this.#hashes = new Uint8Array(chunks * HASH_BYTES);
    this.#known = new Uint8Array(chunks);
  }

  /** Sets a chunk's hash. Returns false if another one is known already. */
  set(index: number, hash: Uint8Array): boolean {
    if (this.#known[index] === 1) return equalBytes(this.at(index), hash);
    this.#known[index] = 1;
    this.#hashes.set(hash, index * HASH_BYTES);
    return true;
  }

  at(index: number): Uint8Array<ArrayBuffer> {
    return this.#hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  }

  root(): Promise<Uint8Array<ArrayBuffer>> {
    return sha256(this.#hashes);
  }
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
