import type { FileLink } from "../api.ts";
import type { Bitmap } from "./bitmap.ts";
import { Notifier } from "./notifier.ts";
import { CONTROL_LABEL } from "./protocol.ts";

/** Bytes that wait in one channel. Sending continues once it has at most the low mark. */
const MAX_BUFFERED_BYTES = 2 ** 20;
const LOW_BUFFERED_BYTES = 2 ** 18;

/**
 * Bytes that the receiver has not confirmed to have stored. Browsers have no back-pressure for
 * received messages, so this bounds what waits for a slow disk.
 */
const MAX_UNCONFIRMED_BYTES = 2 ** 22;

/** Channels of one run. Guards against a peer that closes each channel that is opened. */
const MAX_CHANNELS = 32;

/** Repeats per message in partial mode. */
const MAX_RETRANSMITS = 3;

interface RunOptions {
  readonly link: FileLink;
  readonly id: string;
  readonly connections: number;
  readonly isPartial: boolean;
  readonly chunkBytes: number;
  /** Returns a number that no earlier channel of the transfer has. */
  nextChannel(): number;
}

/** The channels and counters of a transfer from a `start` of the receiver to the next one. */
export class SendingRun {
  readonly changed = new Notifier();
  /** Whether chunks of this round may be lost. */
  isLossy = false;
  /** The receiver's answer to the end of a round. */
  reply: Bitmap | undefined;
  round = 0;
  sent = 0;
  readonly #options: RunOptions;
  /** Sent chunks that the receiver has not confirmed, in order. */
  #unconfirmed: number[] = [];
  #channels: RTCDataChannel[] = [];
  #opened = 0;
  #isEnded = false;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Opens the channels. @throws {DOMException} if the connection has just closed. */
  open(): void {
    const { connections, isPartial } = this.#options;
    for (let n = 0; n < connections; n++) this.#open(n, isPartial);
  }

  /** Closes all channels, and opens one that loses nothing. @throws {DOMException} */
  openReliable(): void {
    for (const channel of this.#take()) channel.close();
    this.#open(0, false);
  }

  #open(connection: number, isPartial: boolean): void {
    const { link, id, nextChannel } = this.#options;
    this.#opened++;
    const label = `${CONTROL_LABEL}/${id}/${nextChannel()}`;
    const init = { ordered: false, ...isPartial && { maxRetransmits: MAX_RETRANSMITS } };
    const channel = link.openChannel(label, init, connection);
    channel.bufferedAmountLowThreshold = LOW_BUFFERED_BYTES;
    const notify = () => this.changed.notify();
    channel.addEventListener("open", notify);
    channel.addEventListener("bufferedamountlow", notify);
    channel.addEventListener("close", () => this.#lost(channel));
    this.#channels.push(channel);
  }

  /** Chunks that waited in a channel are lost when it closes. */
  #lost(channel: RTCDataChannel): void {
    if (!this.#channels.includes(channel)) return;
    this.#channels = this.#channels.filter((other) => other !== channel);
    this.isLossy = true;
    this.changed.notify();
  }

  /**
   * Resolves with a channel that can take a message, once `isPaused()` is false. Undefined if the
   * run has ended.
   *
   * @throws {Error} if the peer closes all channels.
   */
  async roomyChannel(bytes: number, isPaused: () => boolean): Promise<RTCDataChannel | undefined> {
    const { chunkBytes } = this.#options;
    for (;;) {
      if (this.#isEnded) return undefined;
      if (this.#channels.length === 0) {
        if (this.#opened >= MAX_CHANNELS) throw new Error("The peer closes each channel.");
        this.#open(0, false);
      }
      if (!isPaused() && (this.#unconfirmed.length + 1) * chunkBytes <= MAX_UNCONFIRMED_BYTES) {
        let best: RTCDataChannel | undefined;
        for (const channel of this.#channels) {
          if (channel.readyState !== "open") continue;
          if (channel.bufferedAmount + bytes > MAX_BUFFERED_BYTES) continue;
          if (best === undefined || channel.bufferedAmount < best.bufferedAmount) best = channel;
        }
        if (best !== undefined) return best;
      }
      await this.changed.wait();
    }
  }

  wasSent(index: number): void {
    this.sent++;
    this.#unconfirmed.push(index);
  }

  /** Returns the chunks that are confirmed now, or undefined if so many were never sent. */
  confirm(count: number): readonly number[] | undefined {
    if (count > this.sent) return undefined;
    const confirmed = this.#unconfirmed.splice(
      0,
      Math.max(0, this.#unconfirmed.length - (this.sent - count)),
    );
    this.changed.notify();
    return confirmed;
  }

  /** Resolves once nothing waits in the channels. What is on its way may still be lost. */
  async drain(): Promise<void> {
    const waiting = () => this.#channels.filter(({ bufferedAmount }) => bufferedAmount > 0);
    for (const channel of this.#channels) channel.bufferedAmountLowThreshold = 0;
    while (!this.#isEnded && waiting().length > 0) await this.changed.wait();
    for (const channel of this.#channels) channel.bufferedAmountLowThreshold = LOW_BUFFERED_BYTES;
  }

  end(): void {
    this.#isEnded = true;
    for (const channel of this.#take()) channel.close();
    this.changed.notify();
  }

  #take(): readonly RTCDataChannel[] {
    const channels = this.#channels;
    this.#channels = [];
    return channels;
  }
}
