import { Http3Error } from "./http3_error.ts";

/** The only instruction that fits a dynamic table of capacity 0: set that capacity. */
const SET_CAPACITY_0 = 0x20;
const STREAM_CANCELLATION_MASK = 0xc0;
const STREAM_CANCELLATION = 0x40;
const STREAM_CANCELLATION_MAX_PREFIX = 0x3f;

/** Checks a client's encoder stream (RFC 9204, section 4.3). @throws {Http3Error} */
export function checkEncoderInstructions(bytes: Uint8Array): void {
  if (bytes.some((byte) => byte !== SET_CAPACITY_0)) {
    throw new Http3Error("QPACK_ENCODER_STREAM_ERROR", "The capacity of the dynamic table is 0");
  }
}

/**
 * Checks a client's decoder stream (RFC 9204, section 4.4). It may only cancel streams: it was sent
 * nothing that uses the dynamic table.
 */
export class DecoderInstructions {
  #isWithinInteger = false;

  /** Takes the next bytes. @throws {Http3Error} */
  push(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.#isWithinInteger) {
        this.#isWithinInteger = byte >= 0x80;
      } else if ((byte & STREAM_CANCELLATION_MASK) === STREAM_CANCELLATION) {
        this.#isWithinInteger =
          (byte & STREAM_CANCELLATION_MAX_PREFIX) === STREAM_CANCELLATION_MAX_PREFIX;
      } else {
        throw new Http3Error("QPACK_DECODER_STREAM_ERROR", "Nothing is in the dynamic table");
      }
    }
  }
}
