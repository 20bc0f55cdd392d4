import { concat } from "./bytes.ts";
import { Http3Error } from "./http3_error.ts";
import type { StreamReader } from "./receive_stream.ts";
import { decodeVarint, encodeVarint } from "./varint.ts";

/** The first integer of unidirectional streams. */
export const STREAM_TYPE = {
  CONTROL: 0x00, // RFC 9114
  PUSH: 0x01, // RFC 9114
  QPACK_ENCODER: 0x02, // RFC 9204
  QPACK_DECODER: 0x03, // RFC 9204
  WEBTRANSPORT: 0x54, // draft-ietf-webtrans-http3
} as const;

/** The first integer of a bidirectional stream of WebTransport: it looks like a frame's type. */
export const BIDIRECTIONAL_SIGNAL = 0x41;

/** The shortest start of a stream of WebTransport: a type of two bytes and a session's id of one. */
const SHORTEST_START_BYTES = 3;

/** The start of a stream. */
interface StreamStart {
  /** The first integer. */
  readonly type: number;
  /** The id of the session that a stream of WebTransport belongs to. */
  readonly sessionId: number | undefined;
  /** Everything that was read, the first integer included. */
  readonly bytes: Uint8Array;
  /** What of it comes after the start; empty for a stream of WebTransport. */
  readonly rest: Uint8Array;
}

/**
 * Reads the start of a stream, and no byte of what comes after that of a stream of WebTransport.
 * Returns undefined if the stream ends or is reset before.
 *
 * @param webTransportType the type of those streams, other than which have no session's id.
 * @throws {Http3Error} ID_ERROR if the id cannot be that of a session.
 */
export async function readStreamStart(
  reader: StreamReader,
  webTransportType: number,
): Promise<StreamStart | undefined> {
  let bytes: Uint8Array = new Uint8Array();
  let needed = SHORTEST_START_BYTES;
  for (;;) {
    const result = await reader.read(needed);
    if (typeof result === "string") return undefined;
    bytes = bytes.length === 0 ? result : concat(bytes, result);
    const type = decodeVarint(bytes);
    if (type !== undefined && type.value !== webTransportType) {
      return { type: type.value, sessionId: undefined, bytes, rest: bytes.subarray(type.length) };
    }
    const id = type && decodeVarint(bytes, type.length);
    if (type !== undefined && id !== undefined) {
      // Session ids are ids of bidirectional streams that the client has opened.
      if (id.value % 4 !== 0) throw new Http3Error("ID_ERROR", `No session has id ${id.value}`);
      return { type: type.value, sessionId: id.value, bytes, rest: new Uint8Array() };
    }
    needed = bytes.length < SHORTEST_START_BYTES ? SHORTEST_START_BYTES - bytes.length : 1;
  }
}

/** Encodes the start of a unidirectional stream of a session. */
export function unidirectionalStart(sessionId: number): Uint8Array {
  return concat(encodeVarint(STREAM_TYPE.WEBTRANSPORT), encodeVarint(sessionId));
}
