import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** Bytes from here on are drawn again: they would make some characters more likely. */
const UNBIASED = 256 - 256 % ALPHABET.length;

const PREFIX = "weir_";
const ID_LENGTH = 12;
/** 190 bits. Guards against guessing, also from a stolen hash, which therefore needs no salt. */
const SECRET_LENGTH = 32;
/** Enough for 32 bits. */
const CHECKSUM_LENGTH = 6;

const ID = new RegExp(`^[0-9A-Za-z]{${ID_LENGTH}}$`);
const FORM = new RegExp(
  `^(${PREFIX}([0-9A-Za-z]{${ID_LENGTH}})[0-9A-Za-z]{${SECRET_LENGTH}})` +
    `([0-9A-Za-z]{${CHECKSUM_LENGTH}})$`,
);

export interface ApiKey {
  /** Names the key in lists, logs and revocations; not secret. */
  readonly id: string;
  /** The whole key, secret included. */
  readonly text: string;
}

/** Creates a random key: `weir_`, an id, a secret of 190 bits and a checksum, all in base62. */
export function newApiKey(): ApiKey {
  const id = randomBase62(ID_LENGTH);
  const body = `${PREFIX}${id}${randomBase62(SECRET_LENGTH)}`;
  return { id, text: body + checksumOf(body) };
}

/** Parses a key and verifies its checksum; undefined if `text` cannot be a key. */
export function parseApiKey(text: string): ApiKey | undefined {
  const [, body = "", id = "", checksum] = FORM.exec(text) ?? [];
  return checksum !== undefined && checksum === checksumOf(body) ? { id, text } : undefined;
}

export function isApiKeyId(text: string): boolean {
  return ID.test(text);
}

/** Returns the hash that is stored instead of the key: SHA-256 in 64 hex digits. */
export function hashApiKey(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Returns `length` characters of 0–9 A–Z a–z, all equally likely: 5.95 bits per character. */
export function randomBase62(length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length - text.length))) {
      if (byte < UNBIASED) text += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return text;
}

/** Returns the CRC-32 (IEEE 802.3) in base62. */
function checksumOf(body: string): string {
  let text = "";
  for (let rest = crc32(body); text.length < CHECKSUM_LENGTH;) {
    text = ALPHABET.charAt(rest % ALPHABET.length) + text;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return text;
}
