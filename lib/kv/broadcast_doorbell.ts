import type { Address } from "../shared/channel.ts";
import type { EphemeralEvent, Relay } from "../shared/ephemeral.ts";
import { type Doorbell, Listeners } from "./doorbell.ts";

type Note = readonly [Address, EphemeralEvent];

/**
 * For a store that only this process has open: its isolates ring each other by
 * `BroadcastChannel`, and a commit writes nothing but the log. Ephemeral events go the same way, on
 * a channel of their own: they never come near the store.
 */
export class BroadcastDoorbell implements Doorbell, Relay {
  readonly #listeners = new Listeners();
  readonly #receivers = new Listeners<[EphemeralEvent]>();
  readonly #channel: BroadcastChannel;
  readonly #notes: BroadcastChannel;

  /** @param store names the store, the same in all isolates that share it. */
  constructor(store: string) {
    this.#channel = new BroadcastChannel(`weir:${store}`);
    this.#channel.onmessage = (message: MessageEvent<readonly Address[]>) =>
      this.#listeners.ring(message.data);
    this.#notes = new BroadcastChannel(`weir:${store}:ephemeral`);
    this.#notes.onmessage = ({ data: [address, event] }: MessageEvent<Note>) =>
      this.#receivers.ring([address], event);
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

  send(address: Address, event: EphemeralEvent): void {
    try {
      this.#notes.postMessage([address, event] satisfies Note);
    } catch {
      // The channel is closed: this isolate stops, and ephemeral events are promised to nobody.
    }
  }

  receive(address: Address, onEvent: (event: EphemeralEvent) => void): Disposable {
    return this.#receivers.add(address, onEvent);
  }

  close(): Promise<void> {
    this.#channel.close();
    this.#notes.close();
    return Promise.resolve();
  }
}
