/** File signals: what transfers through the server say, as the member `file` of signals. */

import { MAX_MESSAGE_BYTES } from "./layout.ts";
import { MAX_CONTROL_LENGTH } from "./protocol.ts";

/**
 * Bytes of one file signal. In base64, with the other members, they fit into a signal, which the server
 * limits to 65,536 bytes.
 */
export const MAX_SIGNAL_PART_BYTES = 48_000;

const MAX_LABEL_LENGTH = 64;
const ID = /^[\w-]{1,64}$/;

/** What one end tells the other. All signals of an end are numbered together. */
export interface FileSignal {
  /** Names the end that sends it, at random. A new one means that its channels are new too. */
  readonly id: string;
  /** 1, 2, 3 … */
  readonly n: number;
  /** Names the channel, at random. */
  readonly channel?: string;
  /** Opens the channel. */
  readonly label?: string;
  /** A text message. */
  readonly text?: string;
  /** A binary message in base64, or a part of it. */
  readonly bytes?: string;
  /** Further parts of the message follow. */
  readonly more?: true;
  /** Closes the channel. */
  readonly close?: true;
  /**
   * The `id` of the receiver, some of whose signals were lost. It makes its end again, under a new
   * `id`; its signals are ignored until then.
   */
  readonly missed?: string;
}

/** Parses what a peer sent. Undefined if it is not a file signal. */
export function parseFileSignal(value: unknown): FileSignal | undefined {
  const { id, n, channel, label, text, bytes, more, close, missed } = Object(value);
  const isSignal = isId(id) && Number.isSafeInteger(n) && n > 0 &&
    (channel === undefined || isId(channel)) &&
    isText(label, MAX_LABEL_LENGTH) && isText(text, MAX_CONTROL_LENGTH) &&
    isText(bytes, MAX_MESSAGE_BYTES) && isFlag(more) && isFlag(close) &&
    (missed === undefined || isId(missed));
  return isSignal ? value as FileSignal : undefined;
}

function isId(value: unknown): boolean {
  return typeof value === "string" && ID.test(value);
}

function isText(value: unknown, maxLength: number): boolean {
  return value === undefined || typeof value === "string" && value.length <= maxLength;
}

function isFlag(value: unknown): boolean {
  return value === undefined || value === true;
}

/** Returns base64 (RFC 4648 §4). */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  // Arguments of one call are limited.
  for (let at = 0; at < bytes.length; at += 8_192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  }
  return btoa(text);
}

/** Parses base64. Undefined if it is not. */
export function decodeBase64(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined; // not base64
  }
}
