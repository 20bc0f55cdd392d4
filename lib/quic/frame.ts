import { encodeBlock } from "./block_reader.ts";
import { Http3Error } from "./http3_error.ts";
import { encodeFieldSection, type Field } from "./qpack.ts";

/** Frame types of RFC 9114 (section 7.2). */
export const FRAME = {
  DATA: 0x00,
  HEADERS: 0x01,
  CANCEL_PUSH: 0x03,
  SETTINGS: 0x04,
  PUSH_PROMISE: 0x05,
  GOAWAY: 0x07,
  MAX_PUSH_ID: 0x0d,
} as const;

/** Frames of HTTP/2 that must not come over HTTP/3 (RFC 9114, section 7.2.8). */
const HTTP2_FRAMES: readonly number[] = [0x02, 0x06, 0x08, 0x09];

/** Encodes a HEADERS frame. */
export function headersFrame(fields: readonly Field[]): Uint8Array {
  return encodeBlock(FRAME.HEADERS, encodeFieldSection(fields));
}

/** Encodes a DATA frame. */
export function dataFrame(value: Uint8Array): Uint8Array {
  return encodeBlock(FRAME.DATA, value);
}

/** Refuses a frame that must not come on this kind of stream. @throws {Http3Error} */
export function refuseFrame(type: number, forbidden: readonly number[]): void {
  if (forbidden.includes(type) || HTTP2_FRAMES.includes(type)) {
    throw new Http3Error(
      "FRAME_UNEXPECTED",
      `A frame of type ${type} is not allowed on this stream`,
    );
  }
}
