import type { Address } from "../shared/channel.ts";

/**
 * Wakes other isolates when a channel moves. It may ring too often and, if something dies, too
 * seldom; the log is the truth, and its safety poll finds what a doorbell missed.
 */
export interface Doorbell {
  /** Adds to a commit what the commit itself must write so that others are woken. */
  prepare(atomic: Deno.AtomicOperation, addresses: readonly Address[]): void;
  /** After the commit; its versionstamp is unknown where it was only found in the log. */
  committed(addresses: readonly Address[], versionstamp: string | undefined): void;
  /** Calls `onRing` when another isolate may have moved the channel. */
  listen(address: Address, onRing: () => void): Disposable;
  close(): Promise<void>;
}

/** Who listens to what, and is told `Told`; shared by the implementations. */
export class Listeners<Told extends readonly unknown[] = []> {
  readonly #byAddress = new Map<Address, Set<(...told: Told) => void>>();

  add(address: Address, onRing: (...told: Told) => void): Disposable {
    const listeners = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, listeners.add(onRing));
    return {
      [Symbol.dispose]: () => {
        listeners.delete(onRing);
        if (listeners.size === 0 && this.#byAddress.get(address) === listeners) {
          this.#byAddress.delete(address);
        }
      },
    };
  }

  ring(addresses: Iterable<Address>, ...told: Told): void {
    for (const address of addresses) {
      for (const onRing of this.#byAddress.get(address) ?? []) onRing(...told);
    }
  }

  addresses(): Iterable<Address> {
    return this.#byAddress.keys();
  }
}
