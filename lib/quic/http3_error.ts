/**
 * The error codes of RFC 9114 (section 8.1), RFC 9204 (section 6) and RFC 9297 (section 5.2) that
 * this layer closes connections with.
 */
export const H3_CODES = {
  DATAGRAM_ERROR: 0x33,
  NO_ERROR: 0x100,
  INTERNAL_ERROR: 0x102,
  STREAM_CREATION_ERROR: 0x103,
  CLOSED_CRITICAL_STREAM: 0x104,
  FRAME_UNEXPECTED: 0x105,
  FRAME_ERROR: 0x106,
  EXCESSIVE_LOAD: 0x107,
  ID_ERROR: 0x108,
  SETTINGS_ERROR: 0x109,
  MISSING_SETTINGS: 0x10a,
  REQUEST_INCOMPLETE: 0x10d,
  MESSAGE_ERROR: 0x10e,
  QPACK_DECOMPRESSION_FAILED: 0x200,
  QPACK_ENCODER_STREAM_ERROR: 0x201,
  QPACK_DECODER_STREAM_ERROR: 0x202,
} as const;

/** The name of one of the {@link H3_CODES}. */
export type H3CodeName = keyof typeof H3_CODES;

/** A peer breaks the rules of HTTP/3. The connection is closed with the code. */
export class Http3Error extends Error {
  override readonly name = "Http3Error";
  /** The code on the wire. */
  readonly code: number;

  constructor(readonly codeName: H3CodeName, message: string) {
    super(message);
    this.code = H3_CODES[codeName];
  }
}
