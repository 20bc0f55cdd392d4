import { runCallback } from "../core/observable.ts";

/** Messages kept for a listener that is not there yet. Guards against a peer that floods. */
const MAX_EARLY_MESSAGES = 256;
/** Characters or bytes of them, over all channels. A message has up to 256 KiB. */
const MAX_EARLY_SIZE = 4 * 1024 ** 2;
/** Channels kept for a listener. Guards against a peer that opens them without end. */
const MAX_EARLY_CHANNELS = 256;

type ChannelListener = (channel: RTCDataChannel) => void;

/** A channel that no listener has taken, and the messages that came over it. */
interface EarlyChannel {
  readonly channel: RTCDataChannel;
  readonly messages: (string | ArrayBuffer)[];
  readonly keep: (event: MessageEvent) => void;
}

/** Hands data channels that a peer opens to the listeners for their labels. */
export class IncomingChannels {
  readonly #listeners = new Set<readonly [accepts: (label: string) => boolean, ChannelListener]>();
  readonly #early = new Set<EarlyChannel>();
  #earlySize = 0;

  add(channel: RTCDataChannel): void {
    channel.binaryType = "arraybuffer";
    for (const [accepts, listener] of this.#listeners) {
      if (accepts(channel.label)) return void runCallback(() => listener(channel));
    }
    if (this.#early.size >= MAX_EARLY_CHANNELS) return channel.close();
    const messages: (string | ArrayBuffer)[] = [];
    const keep = ({ data }: MessageEvent) => {
      this.#earlySize += sizeOf(data);
      const isFull = messages.push(data) > MAX_EARLY_MESSAGES || this.#earlySize > MAX_EARLY_SIZE;
      if (!isFull) return;
      this.#forget(early);
      channel.close();
    };
    const early = { channel, messages, keep };
    channel.addEventListener("message", keep);
    channel.addEventListener("close", () => this.#forget(early));
    this.#early.add(early);
  }

  /**
   * Calls `listener` for channels with a label that `accepts`, the kept ones first. Returns a
   * function that stops it.
   */
  listen(accepts: (label: string) => boolean, listener: ChannelListener): () => void {
    const entry = [accepts, listener] as const;
    this.#listeners.add(entry);
    for (const early of this.#early) {
      const { channel, messages } = early;
      if (!accepts(channel.label)) continue;
      this.#forget(early);
      void runCallback(() => listener(channel));
      for (const data of messages) channel.dispatchEvent(new MessageEvent("message", { data }));
    }
    return () => void this.#listeners.delete(entry);
  }

  #forget(early: EarlyChannel): void {
    if (!this.#early.delete(early)) return;
    early.channel.removeEventListener("message", early.keep);
    for (const data of early.messages) this.#earlySize -= sizeOf(data);
  }
}

function sizeOf(data: string | ArrayBuffer): number {
  return typeof data === "string" ? data.length : data.byteLength;
}
