import { X509Certificate } from "node:crypto";
import type { KeyPair } from "./certificate.ts";
import { concat } from "./shared/bytes.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
/** Browsers accept a certificate by its hash if it is valid for at most 14 days (W3C WebTransport). */
export const LIFETIME_MS = 13 * DAY_MS;
/** The certificate is valid for clients whose clock is behind by this. */
const SKEW_MS = 60 * 60 * 1_000;

/** A self-signed certificate. Clients accept it because they know its hash. */
export interface SelfSignedCertificate extends KeyPair {
  /** SHA-256 of the certificate's DER, in base64. */
  readonly hash: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * Makes a certificate (RFC 5280) of 13 days for `localhost`, `127.0.0.1` and `::1`, with a new key:
 * ECDSA P-256, as browsers require.
 *
 * @param now milliseconds since 1970
 */
export async function makeSelfSignedCertificate(now: number): Promise<SelfSignedCertificate> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const body = tbsCertificate(spki, now - SKEW_MS);
  const signature = new Uint8Array(await crypto.subtle.sign(algorithm, keys.privateKey, body));
  const der = sequence(
    body,
    ECDSA_WITH_SHA256,
    // WebCrypto returns r and s, of 32 bytes each (RFC 3279 §2.2.3 encodes them as integers).
    bitString(sequence(integer(signature.subarray(0, 32)), integer(signature.subarray(32)))),
  );
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  return await describeCertificate(new X509Certificate(der), pem("PRIVATE KEY", key));
}

/** Describes a certificate and its key, as PEM. */
export async function describeCertificate(
  x509: X509Certificate,
  key: string,
): Promise<SelfSignedCertificate> {
  const der = new Uint8Array(x509.raw);
  return {
    cert: pem("CERTIFICATE", der),
    key,
    hash: new Uint8Array(await crypto.subtle.digest("SHA-256", der)).toBase64(),
    expiresAt: Date.parse(x509.validTo),
  };
}

const ECDSA_WITH_SHA256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2));
const NAME = sequence(tlv(0x31, sequence(oid(0x55, 4, 3), tlv(0x0c, ascii("Weir")))));
const BASIC_CONSTRAINTS = sequence( // critical, and not a CA
  oid(0x55, 0x1d, 0x13),
  tlv(0x01, Uint8Array.of(0xff)),
  tlv(0x04, sequence()),
);
const SUBJECT_ALT_NAMES = sequence(
  oid(0x55, 0x1d, 0x11),
  tlv(
    0x04,
    sequence(
      tlv(0x82, ascii("localhost")),
      tlv(0x87, Uint8Array.of(127, 0, 0, 1)),
      tlv(0x87, Uint8Array.of(...Array<number>(15).fill(0), 1)),
    ),
  ),
);

/** The part of the certificate that is signed. */
function tbsCertificate(spki: Uint8Array<ArrayBuffer>, notBefore: number): Uint8Array<ArrayBuffer> {
  return sequence(
    tlv(0xa0, integer(Uint8Array.of(2))), // version 3
    integer(crypto.getRandomValues(new Uint8Array(16))),
    ECDSA_WITH_SHA256,
    NAME,
    sequence(time(notBefore), time(notBefore + LIFETIME_MS)),
    NAME,
    spki,
    tlv(0xa3, sequence(BASIC_CONSTRAINTS, SUBJECT_ALT_NAMES)),
  );
}

/** Encodes a value of less than 64 KiB (X.690, DER). */
function tlv(tag: number, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = value;
  const size = length < 128
    ? [length]
    : length < 256
    ? [0x81, length]
    : [0x82, length >> 8, length & 255];
  return new Uint8Array(concat([Uint8Array.of(tag, ...size), value]));
}

function sequence(...values: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return tlv(0x30, concat([new Uint8Array(0), ...values]));
}

/** Encodes an unsigned integer: without leading zeros, and with one before a set highest bit. */
function integer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const first = bytes.findIndex((byte) => byte !== 0);
  const value = first === -1 ? Uint8Array.of(0) : bytes.subarray(first);
  return tlv(0x02, (value[0] ?? 0) < 128 ? value : concat([Uint8Array.of(0), value]));
}

function bitString(value: Uint8Array): Uint8Array<ArrayBuffer> {
  return tlv(0x03, concat([Uint8Array.of(0), value]));
}

function oid(...bytes: readonly number[]): Uint8Array<ArrayBuffer> {
  return tlv(0x06, Uint8Array.from(bytes));
}

/** Encodes a time in whole seconds: UTCTime before 2050, then GeneralizedTime (RFC 5280 §4.1.2.5). */
function time(ms: number): Uint8Array<ArrayBuffer> {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return text < "2050" ? tlv(0x17, ascii(text.slice(2))) : tlv(0x18, ascii(text));
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function pem(label: string, der: Uint8Array): string {
  const lines = der.toBase64().replaceAll(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
