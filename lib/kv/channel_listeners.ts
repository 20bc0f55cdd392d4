import type { ChannelKey } from "../shared/channel.ts";

/** Holds callbacks by channel. */
export class ChannelListeners<Args extends readonly unknown[] = []> {
  readonly #byChannelKey = new Map<ChannelKey, Set<(...args: Args) => void>>();

  /** Adds a callback until the result is disposed of. */
  add(channelKey: ChannelKey, listener: (...args: Args) => void): Disposable {
    const listeners = this.#byChannelKey.get(channelKey) ?? new Set();
    this.#byChannelKey.set(channelKey, listeners.add(listener));
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener);
        if (listeners.size === 0 && this.#byChannelKey.get(channelKey) === listeners) {
          this.#byChannelKey.delete(channelKey);
        }
      },
    };
  }

  /** Calls all callbacks of these channels. */
  call(channelKeys: Iterable<ChannelKey>, ...args: Args): void {
    for (const channelKey of channelKeys) {
      for (const listener of this.#byChannelKey.get(channelKey) ?? []) listener(...args);
    }
  }

  /** Returns the channels that have callbacks. */
  channelKeys(): Iterable<ChannelKey> {
    return this.#byChannelKey.keys();
  }
}
