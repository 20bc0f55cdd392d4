import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import type { Address } from "../shared/channel.ts";
import type { HeadEntry, StoredHead } from "./head.ts";

/** Heads that this isolate has lately read or written; only hints, since each commit checks them. */
export class HeadCache {
  readonly #kv: Deno.Kv;
  readonly #max: number;
  readonly #entries = new Map<Address, HeadEntry>();

  constructor(kv: Deno.Kv, max = 10_000) {
    this.#kv = kv;
    this.#max = max;
  }

  peek(address: Address): HeadEntry | undefined {
    return this.#entries.get(address);
  }

  set(address: Address, entry: HeadEntry): void {
    this.#entries.delete(address);
    this.#entries.set(address, entry);
    if (this.#entries.size > this.#max) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
  }

  forget(address: Address): void {
    this.#entries.delete(address);
  }

  /** Reads those that aren't known. */
  async load(addresses: Iterable<Address>): Promise<void> {
    const unknown = [...addresses].filter((address) => !this.#entries.has(address));
    if (unknown.length > 0) await this.reload(unknown);
  }

  async reload(addresses: readonly Address[]): Promise<void> {
    const entries = await readHeads(this.#kv, addresses);
    addresses.forEach((address, i) => this.set(address, entries[i] as HeadEntry)); // same length
  }
}

/** The heads in the order of `addresses`. */
export async function readHeads(
  kv: Deno.Kv,
  addresses: readonly Address[],
): Promise<readonly HeadEntry[]> {
  return (await getMany<StoredHead>(kv, addresses.map(keys.head)))
    .map(({ value, versionstamp }) => ({ head: value, versionstamp }));
}

/** `kv.getMany` for any number of keys. */
export async function getMany<T>(
  kv: Deno.Kv,
  all: readonly Deno.KvKey[],
): Promise<readonly Deno.KvEntryMaybe<T>[]> {
  const parts: Promise<Deno.KvEntryMaybe<T>[]>[] = [];
  for (let at = 0; at < all.length; at += KV_LIMITS.getMany) {
    parts.push(kv.getMany<T[]>(all.slice(at, at + KV_LIMITS.getMany)));
  }
  return (await Promise.all(parts)).flat();
}
