import { runCallback } from "../core/observable.ts";

/** Messages kept for a listener that is not there yet. Guards against a peer that floods. */
const MAX_EARLY_MESSAGES = 256;

type ChannelListener = (channel: RTCDataChannel) => void;

/** A channel that no listener has taken, and the messages that came over it. */
interface EarlyChannel {
  readonly channel: RTCDataChannel;
  readonly messages: unknown[];
  readonly keep: (event: MessageEvent) => void;
}

/** Hands data channels that a peer opens to the listeners for their labels. */
export class IncomingChannels {
  readonly #listeners = new Set<readonly [accepts: (label: string) => boolean, ChannelListener]>();
  readonly #early = new Set<EarlyChannel>();

  add(channel: RTCDataChannel): void {
    channel.binaryType = "arraybuffer";
    for (const [accepts, listener] of this.#listeners) {
      if (accepts(channel.label)) return void runCallback(() => listener(channel));
    }
    const messages: unknown[] = [];
    const keep = ({ data }: MessageEvent) => {
      if (messages.push(data) > MAX_EARLY_MESSAGES) channel.close();
    };
    const early = { channel, messages, keep };
    channel.addEventListener("message", keep);
    channel.addEventListener("close", () => this.#early.delete(early));
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
      const { channel, messages, keep } = early;
      if (!accepts(channel.label)) continue;
      this.#early.delete(early);
      channel.removeEventListener("message", keep);
      void runCallback(() => listener(channel));
      for (const data of messages) channel.dispatchEvent(new MessageEvent("message", { data }));
    }
    return () => void this.#listeners.delete(entry);
  }
}
