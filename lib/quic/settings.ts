import { encodeBlock } from "./block_reader.ts";
import { concat } from "./bytes.ts";
import { FRAME } from "./frame.ts";
import { Http3Error } from "./http3_error.ts";
import { MAX_FIELD_SECTION_BYTES } from "./qpack.ts";
import { decodeVarint, encodeVarint } from "./varint.ts";

/** Identifiers of settings. */
export const SETTING = {
  QPACK_MAX_TABLE_CAPACITY: 0x01, // RFC 9204
  MAX_FIELD_SECTION_SIZE: 0x06, // RFC 9114
  ENABLE_CONNECT_PROTOCOL: 0x08, // RFC 9220
  H3_DATAGRAM: 0x33, // RFC 9297
  H3_DATAGRAM_DRAFT04: 0xffd277,
  ENABLE_WEBTRANSPORT: 0x2b603742, // draft-ietf-webtrans-http3-02 to 06
  WEBTRANSPORT_MAX_SESSIONS: 0xc671706a, // 07 to 12
  WT_MAX_SESSIONS: 0x14e9cd29, // 13 and 14
  WT_ENABLED: 0x2c7cf000, // 15
} as const;

/** Settings of HTTP/2 that must not come over HTTP/3 (RFC 9114, section 7.2.4.1). */
const HTTP2_SETTINGS: readonly number[] = [0x00, 0x02, 0x03, 0x04, 0x05];

/** The largest SETTINGS frame. Guards against memory; browsers send about 60 bytes. */
export const MAX_SETTINGS_BYTES = 4_096;

/**
 * What this layer tells clients. Every draft has its own setting that says that WebTransport is
 * offered. None of those for flow control of sessions is sent: it is off, as one session per
 * connection needs none.
 */
const OWN_SETTINGS: readonly (readonly [id: number, value: number])[] = [
  [SETTING.QPACK_MAX_TABLE_CAPACITY, 0],
  [SETTING.MAX_FIELD_SECTION_SIZE, MAX_FIELD_SECTION_BYTES],
  [SETTING.ENABLE_CONNECT_PROTOCOL, 1],
  [SETTING.H3_DATAGRAM, 1],
  [SETTING.H3_DATAGRAM_DRAFT04, 1],
  [SETTING.ENABLE_WEBTRANSPORT, 1],
  [SETTING.WEBTRANSPORT_MAX_SESSIONS, 1],
  [SETTING.WT_MAX_SESSIONS, 1],
  [SETTING.WT_ENABLED, 1],
];

/** Encodes a SETTINGS frame. */
export function settingsFrame(settings = OWN_SETTINGS): Uint8Array {
  const values = settings.flatMap(([id, value]) => [encodeVarint(id), encodeVarint(value)]);
  return encodeBlock(FRAME.SETTINGS, concat(...values));
}

/**
 * Decodes the value of a SETTINGS frame. Unknown settings are part of the result.
 *
 * @throws {Http3Error} FRAME_ERROR, or SETTINGS_ERROR for a setting that is repeated or reserved.
 */
export function decodeSettings(value: Uint8Array): ReadonlyMap<number, number> {
  const settings = new Map<number, number>();
  for (let at = 0; at < value.length;) {
    const id = decodeVarint(value, at);
    const setting = id && decodeVarint(value, at + id.length);
    if (id === undefined || setting === undefined) {
      throw new Http3Error("FRAME_ERROR", "A SETTINGS frame ends within a setting");
    }
    if (settings.has(id.value) || HTTP2_SETTINGS.includes(id.value)) {
      throw new Http3Error("SETTINGS_ERROR", `Setting ${id.value} is repeated or reserved`);
    }
    settings.set(id.value, setting.value);
    at += id.length + setting.length;
  }
  return settings;
}

/**
 * Checks that a client can use HTTP datagrams, without which there is no WebTransport.
 *
 * @throws {Http3Error} SETTINGS_ERROR
 */
export function checkSettings(settings: ReadonlyMap<number, number>): void {
  const values = [SETTING.H3_DATAGRAM, SETTING.H3_DATAGRAM_DRAFT04].map((id) => settings.get(id));
  if (!values.includes(1) || values.some((value) => value !== undefined && value > 1)) {
    throw new Http3Error("SETTINGS_ERROR", "WebTransport needs SETTINGS_H3_DATAGRAM = 1");
  }
}
