/** A set of the numbers below `length`: the chunks of a file that somebody has. */
export class Bitmap {
  readonly #bytes: Uint8Array;
  #count = 0;

  constructor(readonly length: number) {
    this.#bytes = new Uint8Array(Math.ceil(length / 8));
  }

  /** How many numbers are in the set. */
  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.length;
  }

  has(index: number): boolean {
    return ((this.#bytes[index >> 3] ?? 0) >> (index & 7) & 1) === 1;
  }

  /** Adds a number below `length`. Returns whether it is new. */
  add(index: number): boolean {
    if (this.has(index)) return false;
    this.#bytes[index >> 3] = (this.#bytes[index >> 3] ?? 0) | 1 << (index & 7);
    this.#count++;
    return true;
  }

  /** Returns the numbers below `length` that are not in the set, in order. */
  *missing(): Generator<number> {
    for (let index = 0; index < this.length; index++) if (!this.has(index)) yield index;
  }

  /** Returns base64 (RFC 4648 §4) of the bytes. Number 0 is the lowest bit of the first byte. */
  toBase64(): string {
    let text = "";
    for (const byte of this.#bytes) text += String.fromCharCode(byte);
    return btoa(text);
  }

  /** Parses what `toBase64()` of a set of this length returns. Undefined if it is anything else. */
  static parse(length: number, base64: string): Bitmap | undefined {
    const set = new Bitmap(length);
    if (base64.length !== 4 * Math.ceil(set.#bytes.length / 3)) return undefined;
    let text: string;
    try {
      text = atob(base64);
    } catch {
      return undefined; // not base64
    }
    if (text.length !== set.#bytes.length) return undefined;
    for (let i = 0; i < text.length; i++) {
      const byte = text.charCodeAt(i);
      for (let bit = 0; bit < 8; bit++) {
        if ((byte >> bit & 1) === 0) continue;
        const index = 8 * i + bit;
        if (index >= length) return undefined;
        set.add(index);
      }
    }
    return set;
  }
}
