/** The messages of the control channel, which the sender of files opens. JSON, one per message. */

import { HEADER_BYTES, MAX_CHUNKS, MAX_FILE_BYTES, MAX_MESSAGE_BYTES } from "./layout.ts";

/** Label of the control channel. Those of channels with chunks are `weir-file/<id>/<n>`. */
export const CONTROL_LABEL = "weir-file";

export const PROTOCOL_VERSION = 1;

/** Characters of a control message. A bitmap in base64 has at most 43,692. */
export const MAX_CONTROL_LENGTH = 65_536;

const MAX_NAME_LENGTH = 200;
const MAX_TYPE_LENGTH = 100;
/** Guards against offers of one-byte chunks, each of which would cost a message and a digest. */
const MIN_CHUNK_BYTES = 16;

const ID = /^[\w-]{22}$/;
const HASH = /^[\da-f]{64}$/;
const CODE = /^[a-z_]{1,40}$/;
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:; ?[\w-]+=[\w.+"-]+)?$/;

/** What a sender offers, or offers again. */
export interface Offer {
  readonly op: "offer";
  /** 128 random bits in base64url. */
  readonly id: string;
  /** 128 random bits in base64url, which prove that a later offer is of the same sender. */
  readonly secret: string;
  readonly name: string;
  readonly size: number;
  readonly type: string;
  /** Bytes of each chunk but the last. */
  readonly chunk: number;
  /** Whether the receiver has accepted it before, maybe in another session. */
  readonly again: boolean;
}

/** Messages that go both ways. */
type CommonMessage =
  | { readonly op: "pause"; readonly id: string; readonly paused: boolean }
  | { readonly op: "cancel"; readonly id: string; readonly code: string };

export type SenderMessage =
  | Offer
  | CommonMessage
  /** `count` chunks were sent in this run. Answered by `ack` once those that came are stored. */
  | { readonly op: "mark"; readonly id: string; readonly count: number }
  /**
   * All chunks of this round were sent. If some may be lost, it is answered by `have`, unless the
   * file is complete.
   */
  | {
    readonly op: "end";
    readonly id: string;
    readonly round: number;
    readonly lossy: boolean;
    /** The root of the hash tree, in hex. */
    readonly root: string;
  };

export type ReceiverMessage =
  | CommonMessage
  /** The receiver listens. */
  | { readonly op: "hello"; readonly version: number }
  /** Accepts an offer: send what is not in the bitmap `have`. */
  | {
    readonly op: "start";
    readonly id: string;
    readonly secret: string;
    readonly have: string;
    readonly paused: boolean;
  }
  | { readonly op: "ack"; readonly id: string; readonly count: number; readonly bytes: number }
  | { readonly op: "have"; readonly id: string; readonly round: number; readonly have: string }
  /** The file is complete and its root is right. */
  | { readonly op: "done"; readonly id: string };

/** Parses a message of the sender. Undefined if it breaks the protocol. */
export function parseSenderMessage(text: unknown): SenderMessage | undefined {
  const message = parseObject(text);
  if (message === undefined) return undefined;
  const { op, id, secret, name, size, type, chunk, again, count, round, lossy, root } = message;
  if (!isId(id)) return undefined;
  switch (op) {
    case "offer":
      return isId(secret) && typeof name === "string" && typeof type === "string" &&
          isCount(size, MAX_FILE_BYTES) && isCount(chunk, MAX_MESSAGE_BYTES - HEADER_BYTES) &&
          chunk >= MIN_CHUNK_BYTES && size <= chunk * MAX_CHUNKS && typeof again === "boolean"
        ? { op, id, secret, name: safeName(name), size, type: safeType(type), chunk, again }
        : undefined;
    case "mark":
      return isCount(count) ? { op, id, count } : undefined;
    case "end":
      return isCount(round) && typeof lossy === "boolean" && typeof root === "string" &&
          HASH.test(root)
        ? { op, id, round, lossy, root }
        : undefined;
    default:
      return parseCommon(message, id);
  }
}

/** Parses a message of the receiver. Undefined if it breaks the protocol. */
export function parseReceiverMessage(text: unknown): ReceiverMessage | undefined {
  const message = parseObject(text);
  if (message === undefined) return undefined;
  const { op, id, secret, have, paused, count, bytes, round, version } = message;
  if (op === "hello") return isCount(version) ? { op, version } : undefined;
  if (!isId(id)) return undefined;
  switch (op) {
    case "start":
      return isId(secret) && typeof have === "string" && typeof paused === "boolean"
        ? { op, id, secret, have, paused }
        : undefined;
    case "ack":
      return isCount(count) && isCount(bytes) ? { op, id, count, bytes } : undefined;
    case "have":
      return isCount(round) && typeof have === "string" ? { op, id, round, have } : undefined;
    case "done":
      return { op, id };
    default:
      return parseCommon(message, id);
  }
}

function parseCommon({ op, paused, code }: Members, id: string): CommonMessage | undefined {
  if (op === "pause" && typeof paused === "boolean") return { op, id, paused };
  if (op === "cancel" && typeof code === "string" && CODE.test(code)) return { op, id, code };
  return undefined;
}

type Members = Readonly<Record<string, unknown>>;

function parseObject(text: unknown): Members | undefined {
  if (typeof text !== "string" || text.length > MAX_CONTROL_LENGTH) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value as Members : undefined;
  } catch {
    return undefined; // not JSON
  }
}

function isId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}

function isCount(value: unknown, max = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

/**
 * Returns the name without folders, control characters, characters that change the direction of
 * text (`gpj.exe` that looks like `exe.jpg`) and leading dots.
 */
export function safeName(name: string): string {
  const safe = name.slice(-4 * MAX_NAME_LENGTH).toWellFormed().replace(/^.*[/\\]/s, "")
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu, "").replace(
      /^[.\s]+|[.\s]+$/g,
      "",
    );
  return [...safe].slice(-MAX_NAME_LENGTH).join("") || "file";
}

/** Returns the media type, or an empty text if it is not one. */
export function safeType(type: string): string {
  return type.length <= MAX_TYPE_LENGTH && MEDIA_TYPE.test(type) ? type : "";
}

/** A chunk of a file with its place and its hash. */
export interface Chunk {
  readonly index: number;
  readonly hash: Uint8Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Writes what precedes the bytes of a chunk in its message. */
export function writeHeader(
  message: Uint8Array<ArrayBuffer>,
  index: number,
  hash: Uint8Array,
): void {
  new DataView(message.buffer, message.byteOffset).setUint32(0, index);
  message.set(hash, 4);
}

/** Parses a message of a channel with chunks. Undefined if it has no chunk. */
export function decodeChunk(message: unknown): Chunk | undefined {
  if (!(message instanceof ArrayBuffer) || message.byteLength <= HEADER_BYTES) return undefined;
  return {
    index: new DataView(message).getUint32(0),
    hash: new Uint8Array(message, 4, HEADER_BYTES - 4),
    bytes: new Uint8Array(message, HEADER_BYTES),
  };
}

/** Returns the id in the label of a channel with chunks. */
export function idOfLabel(label: string): string | undefined {
  return /^weir-file\/([\w-]{22})\/\d{1,6}$/.exec(label)?.[1];
}
