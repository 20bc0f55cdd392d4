import { BlockReader, encodeBlock, type Treatment } from "./block_reader.ts";
import { concat } from "./bytes.ts";
import { Http3Error } from "./http3_error.ts";

const CLOSE_SESSION = 0x2843;

/** The longest reason of a close, in bytes of UTF-8 (draft-ietf-webtrans-http3, section 6). */
const MAX_REASON_BYTES = 1_024;
const CODE_BYTES = 4;
/**
 * The largest capsule, unknown ones included. Guards against one that never ends, in which no
 * close would ever be found.
 */
const MAX_CAPSULE_BYTES = 16_384;

/** How a session was closed. */
export interface SessionClose {
  /** A number of 32 bits that the application chose. */
  readonly code: number;
  readonly reason: string;
}

/** Finds the close in the capsules of a session (RFC 9297, section 3), in chunks of any size. */
export class CapsuleReader {
  readonly #blocks: BlockReader;
  #close: SessionClose | undefined;

  constructor() {
    this.#blocks = new BlockReader({
      begin: (type, length) => this.#begin(type, length),
      collected: (_, value) => this.#close ??= decodeClose(value),
      part: () => {},
    });
  }

  /** What the peer closed the session with, once it has. */
  get close(): SessionClose | undefined {
    return this.#close;
  }

  /** Whether the bytes so far end between two capsules. */
  get isBetweenCapsules(): boolean {
    return this.#blocks.isBetweenBlocks;
  }

  /** Takes the next bytes. @throws {Http3Error} */
  push(bytes: Uint8Array): void {
    this.#blocks.push(bytes);
  }

  #begin(type: number, length: number): Treatment {
    if (this.#close !== undefined) {
      throw new Http3Error("MESSAGE_ERROR", "A capsule follows the close of the session");
    }
    if (length > MAX_CAPSULE_BYTES) {
      throw new Http3Error("EXCESSIVE_LOAD", `A capsule is over ${MAX_CAPSULE_BYTES} bytes`);
    }
    if (type !== CLOSE_SESSION) return "skip";
    if (length < CODE_BYTES || length > CODE_BYTES + MAX_REASON_BYTES) {
      throw new Http3Error("MESSAGE_ERROR", `A close capsule has ${length} bytes`);
    }
    return "collect";
  }
}

/** Encodes a close. A longer reason is cut to 1,024 bytes of UTF-8. */
export function closeCapsule({ code, reason }: SessionClose): Uint8Array {
  const head = new Uint8Array(CODE_BYTES);
  new DataView(head.buffer).setUint32(0, code);
  const text = new Uint8Array(MAX_REASON_BYTES);
  const { written } = new TextEncoder().encodeInto(reason, text);
  return encodeBlock(CLOSE_SESSION, concat(head, text.subarray(0, written)));
}

function decodeClose(value: Uint8Array): SessionClose {
  return {
    code: new DataView(value.buffer, value.byteOffset).getUint32(0),
    reason: new TextDecoder("utf-8", { ignoreBOM: true }).decode(value.subarray(CODE_BYTES)),
  };
}
