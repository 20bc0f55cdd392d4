import { keys } from "../kv/keys.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { HeadEntry, StoredHead } from "./head.ts";
import { readHeads } from "./life.ts";

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

  /** Keeps the head that a commit with this versionstamp has set. */
  setCommitted(channelKey: ChannelKey, head: StoredHead, versionstamp: string): void {
    this.set(channelKey, { head, row: { key: keys.head(channelKey), versionstamp } });
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
