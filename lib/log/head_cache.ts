import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { HeadEntry, StoredHead } from "./head.ts";

/**
 * Keeps heads that this isolate has recently read or written. They may be outdated: each commit
 * checks them.
 */
export class HeadCache {
  readonly #kv: Deno.Kv;
  readonly #maxEntries: number;
  readonly #entries = new Map<ChannelKey, HeadEntry>();

  constructor(kv: Deno.Kv, maxEntries = 10_000) {
    this.#kv = kv;
    this.#maxEntries = maxEntries;
  }

  peek(channelKey: ChannelKey): HeadEntry | undefined {
    return this.#entries.get(channelKey);
  }

  set(channelKey: ChannelKey, entry: HeadEntry): void {
    this.#entries.delete(channelKey);
    this.#entries.set(channelKey, entry);
    if (this.#entries.size > this.#maxEntries) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
  }

  forget(channelKey: ChannelKey): void {
    this.#entries.delete(channelKey);
  }

  /** Reads the heads that are not in the cache. */
  async load(channelKeys: Iterable<ChannelKey>): Promise<void> {
    const unknown = [...channelKeys].filter((channelKey) => !this.#entries.has(channelKey));
    if (unknown.length > 0) await this.reload(unknown);
  }

  async reload(channelKeys: readonly ChannelKey[]): Promise<void> {
    const entries = await readHeads(this.#kv, channelKeys);
    channelKeys.forEach((channelKey, i) => this.set(channelKey, entries[i] as HeadEntry)); // same length
  }
}

/** Reads heads, in the order of `channelKeys`. */
export async function readHeads(
  kv: Deno.Kv,
  channelKeys: readonly ChannelKey[],
): Promise<readonly HeadEntry[]> {
  return (await getMany<StoredHead>(kv, channelKeys.map(keys.head)))
    .map(({ value, versionstamp }) => ({ head: value, versionstamp }));
}

/** Reads any number of keys, as `kv.getMany` does for up to ten. */
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
