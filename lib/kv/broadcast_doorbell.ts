import type { Address } from "../shared/channel.ts";
import { type Doorbell, Listeners } from "./doorbell.ts";

/**
 * For a store that only this process has open: its isolates ring each other by
 * `BroadcastChannel`, and a commit writes nothing but the log.
 */
export class BroadcastDoorbell implements Doorbell {
  readonly #listeners = new Listeners();
  readonly #channel: BroadcastChannel;

  /** @param store names the store, the same in all isolates that share it. */
  constructor(store: string) {
    this.#channel = new BroadcastChannel(`weir:${store}`);
    this.#channel.onmessage = (message: MessageEvent<readonly Address[]>) =>
      this.#listeners.ring(message.data);
  }

  prepare(): void {}

  committed(addresses: readonly Address[]): void {
    try {
      this.#channel.postMessage(addresses);
    } catch {
      // The commit stands, whoever hears of it: the safety poll of the others finds it.
    }
  }

  listen(address: Address, onRing: () => void): Disposable {
    return this.#listeners.add(address, onRing);
  }

  close(): Promise<void> {
    this.#channel.close();
    return Promise.resolve();
  }
}
