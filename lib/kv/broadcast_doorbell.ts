import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent, Relay } from "../shared/ephemeral.ts";
import { type Doorbell, Listeners } from "./doorbell.ts";

type EphemeralMessage = readonly [ChannelKey, EphemeralEvent];

/**
 * For a store that only this process has open: its isolates ring each other by
 * `BroadcastChannel`, and a commit writes nothing but the log. Ephemeral events go the same way, on
 * a channel of their own: they never come near the store.
 */
export class BroadcastDoorbell implements Doorbell, Relay {
  readonly #listeners = new Listeners();
  readonly #receivers = new Listeners<[EphemeralEvent]>();
  readonly #channel: BroadcastChannel;
  readonly #ephemeral: BroadcastChannel;

  /** @param store names the store, the same in all isolates that share it. */
  constructor(store: string) {
    this.#channel = new BroadcastChannel(`weir:${store}`);
    this.#channel.onmessage = (message: MessageEvent<readonly ChannelKey[]>) =>
      this.#listeners.ring(message.data);
    this.#ephemeral = new BroadcastChannel(`weir:${store}:ephemeral`);
    this.#ephemeral.onmessage = ({ data: [channelKey, event] }: MessageEvent<EphemeralMessage>) =>
      this.#receivers.ring([channelKey], event);
  }

  prepare(): void {}

  committed(channelKeys: readonly ChannelKey[]): void {
    try {
      this.#channel.postMessage(channelKeys);
    } catch {
      // The commit stands, whoever hears of it: the safety poll of the others finds it.
    }
  }

  listen(channelKey: ChannelKey, onRing: () => void): Disposable {
    return this.#listeners.add(channelKey, onRing);
  }

  relay(channelKey: ChannelKey, event: EphemeralEvent): void {
    try {
      this.#ephemeral.postMessage([channelKey, event] satisfies EphemeralMessage);
    } catch {
      // The channel is closed: this isolate stops, and ephemeral events are promised to nobody.
    }
  }

  subscribe(channelKey: ChannelKey, onEvent: (event: EphemeralEvent) => void): Disposable {
    return this.#receivers.add(channelKey, onEvent);
  }

  close(): Promise<void> {
    this.#channel.close();
    this.#ephemeral.close();
    return Promise.resolve();
  }
}
