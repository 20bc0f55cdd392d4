import type { ChannelKey } from "../shared/channel.ts";

/**
 * Wakes other isolates when a channel moves. It may ring too often and, if something dies, too
 * seldom; the log is the truth, and its safety poll finds what a doorbell missed.
 */
export interface Doorbell {
  /** Adds to a commit what the commit itself must write so that others are woken. */
  prepare(atomic: Deno.AtomicOperation, channelKeys: readonly ChannelKey[]): void;
  /** After the commit; its versionstamp is unknown where it was only found in the log. */
  committed(channelKeys: readonly ChannelKey[], versionstamp: string | undefined): void;
  /** Calls `onRing` when another isolate may have moved the channel. */
  listen(channelKey: ChannelKey, onRing: () => void): Disposable;
  close(): Promise<void>;
}

/** Who listens to what, and is told `Told`; shared by the implementations. */
export class Listeners<Told extends readonly unknown[] = []> {
  readonly #byAddress = new Map<ChannelKey, Set<(...told: Told) => void>>();

  add(channelKey: ChannelKey, onRing: (...told: Told) => void): Disposable {
    const listeners = this.#byAddress.get(channelKey) ?? new Set();
    this.#byAddress.set(channelKey, listeners.add(onRing));
    return {
      [Symbol.dispose]: () => {
        listeners.delete(onRing);
        if (listeners.size === 0 && this.#byAddress.get(channelKey) === listeners) {
          this.#byAddress.delete(channelKey);
        }
      },
    };
  }

  ring(channelKeys: Iterable<ChannelKey>, ...told: Told): void {
    for (const channelKey of channelKeys) {
      for (const onRing of this.#byAddress.get(channelKey) ?? []) onRing(...told);
    }
  }

  channelKeys(): Iterable<ChannelKey> {
    return this.#byAddress.keys();
  }
}
