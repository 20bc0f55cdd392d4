/**
 * Takes the wire's framing off a stream of reads, so that only payload is searched: HTTP/1.1
 * chunked bodies (RFC 9112 §7.1) and WebSocket frames (RFC 6455 §5.2). Both hop from length to
 * length and touch no payload byte.
 */

/** Consumes `buffer[start, end)` of a read and hands its payload on, piece by piece. */
export interface Deframer {
  push(start: number, end: number): void;
}

/** Takes `[start, end)` of the buffer of the deframer. */
export type PayloadSink = (start: number, end: number) => void;

/** A decoder of a chunked response body. Trailers are not expected. */
export class ChunkedBody implements Deframer {
  /** Bytes left in this chunk. */
  #left = 0;
  /** The size line being read, as far as it came. */
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

  /** One byte of `CRLF size [;extension] CRLF`; the CRLF that ends a chunk is an empty size line. */
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

/** A decoder of a server's (unmasked) WebSocket frames. */
export class WebSocketFrames implements Deframer {
  #left = 0;
  #opcode = 0;
  readonly #header = new Uint8Array(10);
  #have = 0;

  /** `control` is called with each ping or close as its header is read. */
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

/** A client's masked frame of up to 125 bytes (RFC 6455 §5.3; the mask is zero, which is allowed). */
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
