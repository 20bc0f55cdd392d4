import type { Address } from "../shared/channel.ts";
import { type Doorbell, Listeners } from "./doorbell.ts";
import { keys } from "./keys.ts";
import { KV_LIMITS } from "./limits.ts";
import { withinTime } from "./storage_problem.ts";

/** As many as one watch takes, less room for another key: more would need several watches. */
const SHARDS = 8;

/** How long a row of the change journal stands. Isolates that look later read every head instead. */
const JOURNAL_MS = 60_000;

/** How long closing waits for a store that doesn't answer, in ms. */
const CLOSE_TIMEOUT = 1_000;

interface Change {
  /** The isolate that wrote it, which needs no ring. */
  readonly by: string;
  readonly addresses: readonly Address[];
}

/**
 * For stores that several processes share: each commit writes the wake key of its shards, which
 * the others watch, and a row in the shard's journal, which tells them the channels. One watch an
 * isolate, since every watcher of a key makes writing it dearer.
 */
export class WatchDoorbell implements Doorbell {
  readonly #kv: Deno.Kv;
  readonly #watchKv: Deno.Kv;
  readonly #isolate = crypto.randomUUID();
  readonly #listeners = new Listeners();
  /** Listened channels of each shard. */
  readonly #served: number[] = new Array<number>(SHARDS).fill(0);
  /** Versionstamp up to which the shard's journal was read, and when (ms). */
  readonly #read = Array.from({ length: SHARDS }, () => ({ versionstamp: "", at: 0 }));
  /** Shards that were woken while a journal read was under way. */
  readonly #woken = new Set<number>();
  /** Own journal rows, oldest first: deleted along with later commits. */
  #rows: { readonly key: Deno.KvKey; readonly at: number }[] = [];
  #reading = false;
  #journals: Promise<void> = Promise.resolve();
  #closed = false;
  #watch:
    | { readonly reader: ReadableStreamDefaultReader; readonly done: Promise<void> }
    | undefined;
  #restart: ReturnType<typeof setTimeout> | undefined;
  /** One restart after the other: two at once would leave a watch that nobody ends. */
  #restarting: Promise<void> = Promise.resolve();

  /**
   * @param watchKv a second handle on the store, for the watch alone: on one handle, watching took
   * the median latency between processes from 3 ms to 44.
   */
  constructor(kv: Deno.Kv, watchKv: Deno.Kv) {
    this.#kv = kv;
    this.#watchKv = watchKv;
  }

  prepare(atomic: Deno.AtomicOperation, addresses: readonly Address[]): void {
    for (const [shard, moved] of Map.groupBy(addresses, shardOf)) {
      atomic.set(keys.wake(shard), 0);
      atomic.set(
        [...keys.changes(shard), this.#kv.commitVersionstamp()],
        { by: this.#isolate, addresses: moved } satisfies Change,
        { expireIn: JOURNAL_MS * 10 }, // for the rows of an isolate that died
      );
    }
    const old = Date.now() - JOURNAL_MS;
    const due = this.#rows.findIndex((row) => row.at > old);
    const count = Math.min(due === -1 ? this.#rows.length : due, 20);
    for (const row of this.#rows.splice(0, count)) atomic.delete(row.key);
  }

  committed(addresses: readonly Address[], versionstamp: string | undefined): void {
    if (versionstamp === undefined) return; // its rows expire by themselves
    const at = Date.now();
    for (const shard of new Set(addresses.map(shardOf))) {
      this.#rows.push({ key: keys.change(shard, versionstamp), at });
    }
  }

  listen(address: Address, onRing: () => void): Disposable {
    const shard = shardOf(address);
    const listening = this.#listeners.add(address, onRing);
    this.#serve(shard, +1);
    return {
      [Symbol.dispose]: () => {
        listening[Symbol.dispose]();
        this.#serve(shard, -1);
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#restart);
    await this.#restarting;
    await this.#stopWatch();
    await withinTime(this.#journals, CLOSE_TIMEOUT).catch(() => {}); // the store is away
  }

  #serve(shard: number, change: 1 | -1): void {
    const before = this.#served[shard] ?? 0;
    this.#served[shard] = before + change;
    // A shard that is no longer served stays watched until the next restart: it only rings in vain.
    if (change === 1 && before === 0) this.#startWatch(0);
  }

  #startWatch(delay: number): void {
    if (this.#closed || this.#restart !== undefined) return;
    this.#restart = setTimeout(() => {
      this.#restart = undefined;
      this.#restarting = this.#restarting.then(() => this.#restartWatch());
    }, delay);
  }

  async #restartWatch(): Promise<void> {
    await this.#stopWatch();
    if (this.#closed) return;
    const shards = this.#served.flatMap((count, shard) => count > 0 ? [shard] : []);
    if (shards.length === 0) return;
    const watched = shards.slice(0, KV_LIMITS.watch);
    const reader = this.#watchKv.watch<0[]>(watched.map(keys.wake)).getReader();
    this.#watch = { reader, done: this.#follow(reader, watched) };
  }

  async #stopWatch(): Promise<void> {
    const watch = this.#watch;
    this.#watch = undefined;
    if (watch === undefined) return;
    await watch.reader.cancel().catch(() => {}); // a watch that broke is over already
    await watch.done;
  }

  async #follow(
    reader: ReadableStreamDefaultReader<Deno.KvEntryMaybe<0>[]>,
    shards: readonly number[],
  ): Promise<void> {
    try {
      while (true) {
        const { done, value } = await reader.read();
        if (done) break;
        shards.forEach((shard, i) => {
          const versionstamp = value[i]?.versionstamp ?? "";
          if (versionstamp > (this.#read[shard]?.versionstamp ?? "")) this.#woken.add(shard);
        });
        if (!this.#reading) this.#journals = this.#readJournals();
      }
    } catch {
      // The store is away. The watch starts anew below, and the safety poll covers the time between.
    }
    if (this.#watch?.reader === reader) this.#startWatch(1_000);
  }

  async #readJournals(): Promise<void> {
    this.#reading = true;
    try {
      while (this.#woken.size > 0 && !this.#closed) {
        const shards = [...this.#woken];
        this.#woken.clear();
        await Promise.all(shards.map((shard) => this.#readJournal(shard)));
      }
    } catch {
      // The store is away: what was woken is found by the safety poll.
    } finally {
      this.#reading = false;
    }
  }

  async #readJournal(shard: number): Promise<void> {
    const read = this.#read[shard];
    if (read === undefined) return;
    const now = Date.now();
    if (now - read.at > JOURNAL_MS / 2) {
      // Rows may be gone already: ring everyone of the shard once, and go on from the newest row.
      const newest = this.#kv.list({ prefix: keys.changes(shard) }, { limit: 1, reverse: true });
      for await (const { key } of newest) read.versionstamp = String(key[2]);
      read.at = now;
      this.#listeners.ring([...this.#listeners.addresses()].filter((a) => shardOf(a) === shard));
      return;
    }
    const moved = new Set<Address>();
    const rows = this.#kv.list<Change>({
      start: [...keys.changes(shard), read.versionstamp, 0],
      end: keys.changes(shard + 1),
    }, { batchSize: KV_LIMITS.list });
    for await (const { key, value } of rows) {
      read.versionstamp = String(key[2]);
      if (value.by === this.#isolate) continue;
      for (const address of value.addresses) moved.add(address);
    }
    read.at = now;
    this.#listeners.ring(moved);
  }
}

/** FNV-1a over the address's UTF-16 units. */
function shardOf(address: Address): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < address.length; i++) {
    hash = Math.imul(hash ^ address.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % SHARDS;
}
