/**
 * Removes the framing of the wire from a stream of reads, so that only payload is searched: HTTP/1.1
 * chunked bodies (RFC 9112 §7.1) and WebSocket frames (RFC 6455 §5.2). Both read lengths only and
 * touch no payload byte.
 */

/** Consumes `buffer[start, end)` of a read and passes on its payload in pieces. */
export interface Deframer {
  push(start: number, end: number): void;
}

/** Consumes `[start, end)` of the deframer's buffer. */
export type PayloadSink = (start: number, end: number) => void;

/** Decodes a chunked response body without trailers. */
export class ChunkedBody implements Deframer {
  /** Bytes left in the current chunk. */
  #left = 0;
  /** The part of the size line that has been read. */
  #size = 0;
  #inExtension = false;
  #digits = 0;

  constructor(readonly buffer: Uint8Array, readonly sink: PayloadSink) {}

  push(start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#left > 0) {
        const stop = Math.min(end, at + this.#left);
        this.sink(at, stop);
        this.#left -= stop - at;
        at = stop;
        continue;
      }
      this.#header(this.buffer[at++] ?? 0);
    }
  }

  /** Reads one byte of `CRLF size [;extension] CRLF`. The CRLF after a chunk is an empty size line. */
  #header(byte: number): void {
    if (byte === 10) {
      if (this.#digits > 0) this.#left = this.#size;
      this.#size = 0;
      this.#digits = 0;
      this.#inExtension = false;
    } else if (byte === 59) {
      this.#inExtension = true;
    } else if (byte !== 13 && !this.#inExtension) {
      this.#size = this.#size * 16 + (byte < 58 ? byte - 48 : (byte | 32) - 87);
      this.#digits++;
    }
  }
}

const PING = 9;
const CLOSE = 8;

/** Decodes the (unmasked) WebSocket frames of a server. */
export class WebSocketFrames implements Deframer {
  #left = 0;
  #opcode = 0;
  readonly #header = new Uint8Array(10);
  #have = 0;

  /** @param control is called with the opcode of each ping or close. */
  constructor(
    readonly buffer: Uint8Array,
    readonly sink: PayloadSink,
    readonly control: (opcode: "ping" | "close") => void,
  ) {}

  push(start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#left > 0) {
        const stop = Math.min(end, at + this.#left);
        if (this.#opcode < CLOSE) this.sink(at, stop);
        this.#left -= stop - at;
        at = stop;
        continue;
      }
      this.#header[this.#have++] = this.buffer[at++] ?? 0;
      if (this.#have >= 2 && this.#have === this.#headerLength()) this.#begin();
    }
  }

  #headerLength(): number {
    const length = this.#byte(1) & 127;
    return length === 127 ? 10 : length === 126 ? 4 : 2;
  }

  #byte(index: number): number {
    return this.#header[index] ?? 0;
  }

  #begin(): void {
    let length = this.#byte(1) & 127;
    if (length >= 126) {
      const last = this.#have;
      length = 0;
      for (let i = 2; i < last; i++) length = length * 256 + this.#byte(i);
    }
    this.#left = length;
    this.#opcode = this.#byte(0) & 15;
    this.#have = 0;
    if (this.#opcode === PING) this.control("ping");
    if (this.#opcode === CLOSE) this.control("close");
  }
}

/** Encodes a client's masked frame of up to 125 bytes (RFC 6455 §5.3). The mask is zero. */
export function clientFrame(opcode: "text" | "pong", payload: Uint8Array): Uint8Array {
  if (payload.length > 125) {
    throw new RangeError(`Cannot frame ${payload.length} bytes: 125 at most`);
  }
  const frame = new Uint8Array(6 + payload.length);
  frame[0] = 0x80 | (opcode === "text" ? 1 : 10);
  frame[1] = 0x80 | payload.length;
  frame.set(payload, 6);
  return frame;
}
