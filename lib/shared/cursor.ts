import type { Channel } from "./channel.ts";
import {
  type Epoch,
  epochAt,
  epochTime,
  formatOffset,
  isOffset,
  NO_EPOCH,
  ORIGIN,
  parseOffset,
  type Position,
} from "./offset.ts";
import { Problem, quote } from "./problem.ts";

/**
 * A reader's positions as text: an offset for one channel, a vector for several. The same on every
 * transport. What clients may do with it: docs/protocol.md, "Offsets and cursors".
 */
export type Cursor = string & { readonly __brand: "Cursor" };

/** Channels of one cursor, which has a position for each. */
export const MAX_CURSOR_CHANNELS = 100;

/** Where to start reading: after positions, at the first stored event, or after the newest. */
export type After = "earliest" | "latest" | readonly Position[];

/**
 * `v` and the vector's bytes in unpadded base64url: version 1; 4 bytes of a hash of the sorted
 * channel names; for each channel in that order the varints `epoch − previous epoch` (zigzag) and
 * `sequence`. Channels that were created at about the same time take a few bytes each.
 */
const VECTOR = /^v[A-Za-z0-9_-]+$/;
const VERSION = 1;
const MAX_VECTOR_CHARS = 4096;

/**
 * Formats the positions of `channels`, which must be sorted and without repeats.
 *
 * @param hash what {@link hashChannels} returns, kept for many cursors of the same channels.
 */
export function formatCursor(
  channels: readonly Channel[],
  positions: readonly Position[],
  hash?: readonly number[],
): Cursor {
  const [only] = positions;
  if (only !== undefined && positions.length === 1) {
    return formatOffset(only.epoch, only.sequence) as string as Cursor;
  }
  const bytes: number[] = [VERSION, ...(hash ?? hashChannels(channels))];
  let previous = 0;
  for (const { epoch, sequence } of positions) {
    const time = epochTime(epoch);
    pushVarint(bytes, zigzag(time - previous));
    pushVarint(bytes, sequence);
    previous = time;
  }
  const text = btoa(String.fromCharCode(...bytes));
  return `v${text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}` as Cursor;
}

/**
 * Parses the positions of `channels`, which must be sorted and without repeats.
 *
 * @throws {Problem} `bad_cursor`; `cursor_other_channels` for the cursor of other channels.
 */
export function parseCursor(text: string, channels: readonly Channel[]): readonly Position[] {
  // An offset may start with "v" too. No vector has its length: after the "v" there would be 25
  // characters, and no base64 text is 25 characters long.
  const isVector = VECTOR.test(text) && text.length <= MAX_VECTOR_CHARS && !isOffset(text);
  if (channels.length === 1) {
    if (isVector) throw otherChannels(text);
    return [parseOffset(text)];
  }
  if (!isVector) {
    parseOffset(text);
    throw otherChannels(text);
  }
  const bytes = decodeBase64Url(text.slice(1));
  if (bytes === undefined || bytes[0] !== VERSION) throw malformed(text);
  if (hashChannels(channels).some((byte, i) => bytes[i + 1] !== byte)) throw otherChannels(text);
  const reader = { bytes, at: 5 };
  const positions: Position[] = [];
  let previous = 0;
  for (let i = 0; i < channels.length; i++) {
    const delta = readVarint(reader);
    const sequence = readVarint(reader);
    const time = previous + unzigzag(delta);
    if (!(time >= 0 && time <= MAX_EPOCH_TIME && Number.isSafeInteger(sequence))) {
      throw malformed(text);
    }
    positions.push({ epoch: timeEpoch(time), sequence });
    previous = time;
  }
  if (reader.at !== bytes.length) throw malformed(text);
  return positions;
}

/**
 * Parses the `after` of a client.
 *
 * @throws {Problem} as {@link parseCursor}.
 */
export function parseAfter(text: string, channels: readonly Channel[]): After {
  if (text === "earliest" || text === "latest") return text;
  return parseCursor(text, channels);
}

/**
 * Parses the `before` of a client. Returns undefined for `latest`, the end of the log.
 *
 * @throws {Problem} as {@link parseCursor}.
 */
export function parseBefore(text: string, channel: Channel): Position | undefined {
  if (text === "latest") return undefined;
  return text === "earliest" ? ORIGIN : parseCursor(text, [channel])[0];
}

const MAX_EPOCH_TIME = 36 ** 9 - 1;

function timeEpoch(time: number): Epoch {
  return time === 0 ? NO_EPOCH : epochAt(time);
}

function malformed(text: string): Problem {
  return new Problem("bad_cursor", `Cannot parse ${quote(text)} as a cursor: it is damaged.`);
}

function otherChannels(text: string): Problem {
  return new Problem(
    "cursor_other_channels",
    `The cursor ${
      quote(text)
    } belongs to other channels. Use a cursor with the channels that it was created for.`,
  );
}

/** Returns a hash (FNV-1a) of the names, each followed by a byte that names don't contain. */
export function hashChannels(channels: readonly Channel[]): readonly number[] {
  let hash = 0x811c9dc5;
  for (const channel of channels) {
    for (const byte of new TextEncoder().encode(`${channel}\n`)) {
      hash = Math.imul(hash ^ byte, 0x01000193);
    }
  }
  return [hash >>> 24, (hash >>> 16) & 255, (hash >>> 8) & 255, hash & 255];
}

function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

// Bit operators have 32 bits, but sequences have 53.
function pushVarint(bytes: number[], value: number): void {
  while (value >= 128) {
    bytes.push((value % 128) + 128);
    value = Math.floor(value / 128);
  }
  bytes.push(value);
}

function readVarint(reader: { readonly bytes: Uint8Array; at: number }): number {
  let value = 0;
  let unit = 1;
  while (true) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined || unit > 2 ** 56) return NaN;
    value += (byte % 128) * unit;
    if (byte < 128) return value;
    unit *= 128;
  }
}

function decodeBase64Url(text: string): Uint8Array | undefined {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (char) => char.charCodeAt(0));
  } catch {
    return undefined; // the caller throws, with the whole cursor
  }
}
