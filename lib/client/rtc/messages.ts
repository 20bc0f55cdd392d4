import { WeirError } from "../core/weir_error.ts";

export type MessageData = string | Uint8Array;

/** Messages that wait for a connection. Guards against an application that fills the memory. */
const MAX_QUEUED_MESSAGES = 1_000;
const MAX_QUEUED_BYTES = 4 * 1024 ** 2;
/** What every browser takes as one message, also where it says more. */
const MAX_MESSAGE_BYTES = 256 * 1024 - 1;

/** The size of a message, or an upper bound of it for text. */
function sizeOf(data: MessageData): number {
  return typeof data === "string" ? 3 * data.length : data.byteLength;
}

/** @throws {WeirError} `message_too_large` */
export function checkMessage(data: MessageData): void {
  if (sizeOf(data) <= MAX_MESSAGE_BYTES) return;
  const size = typeof data === "string" ? new TextEncoder().encode(data).length : sizeOf(data);
  if (size <= MAX_MESSAGE_BYTES) return;
  const detail = `A message has at most ${MAX_MESSAGE_BYTES} bytes, not ${size}: send a file.`;
  throw new WeirError("message_too_large", detail);
}

/** Reliable messages to a peer: those that wait until its channel is open. */
export class MessageQueue {
  #waiting: MessageData[] = [];
  #bytes = 0;

  /** Sends over `channel` if it is open, else keeps the message. @throws {WeirError} */
  send(channel: RTCDataChannel, data: MessageData): void {
    if (channel.readyState === "open" && this.#waiting.length === 0) sendNow(channel, data);
    else {
      const bytes = this.#bytes + sizeOf(data);
      if (this.#waiting.length >= MAX_QUEUED_MESSAGES || bytes > MAX_QUEUED_BYTES) {
        throw fullError();
      }
      this.#bytes = bytes;
      this.#waiting.push(typeof data === "string" ? data : data.slice());
    }
  }

  /** Sends what waits. */
  flush(channel: RTCDataChannel): void {
    const waiting = this.#waiting;
    this.clear();
    for (const data of waiting) sendNow(channel, data);
  }

  clear(): void {
    this.#waiting = [];
    this.#bytes = 0;
  }
}

/** @throws {WeirError} `send_queue_full` */
export function sendNow(channel: RTCDataChannel, data: MessageData): void {
  try {
    // Browsers take no view of a SharedArrayBuffer, and throw for it.
    channel.send(data as Uint8Array<ArrayBuffer>);
  } catch (cause) {
    throw fullError(cause);
  }
}

function fullError(cause?: unknown): WeirError {
  const detail = "Too much waits to be sent to the peer: send less, or wait until it is connected.";
  return new WeirError("send_queue_full", detail, { cause });
}
