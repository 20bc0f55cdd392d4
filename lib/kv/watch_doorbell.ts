import type { ChannelKey } from "../shared/channel.ts";
import { waitAtMost } from "../shared/async/deadline.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";
import type { EphemeralEvent, Relay } from "../shared/ephemeral.ts";
import { type Change, type EphemeralRow, MAX_EPHEMERAL_AGE_MS, shardOf, SHARDS } from "./change.ts";
import { type Doorbell, Listeners } from "./doorbell.ts";
import { keys } from "./keys.ts";
import { KV_LIMITS } from "./limits.ts";
import { EphemeralDedup } from "./ephemeral_dedup.ts";
import { EphemeralWriter } from "./ephemeral_writer.ts";

/** How long a row of the change journal stands. Isolates that look later read every head instead. */
const JOURNAL_MS = 60_000;

/** How long closing waits for a store that doesn't answer, in ms. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Rows that are read after a long silence, the newest: whatever moved is rung for all the same. */
const LATE_ROWS = 100;

/** How far a shard's journal was read. */
interface Place {
  /** Behind this row; undefined: nobody listened, so that nothing before now is theirs. */
  versionstamp: string | undefined;
  /** When it was read (ms). */
  at: number;
  readonly turns: EphemeralDedup;
}

/**
 * For stores that several processes share: each commit writes the wake key of its shards, which
 * the others watch, and a row in the shard's journal, which tells them the channels. One watch an
 * isolate, since every watcher of a key makes writing it dearer. Ephemeral events go through the
 * same journals, in rows of their own that are soon deleted.
 */
export class WatchDoorbell implements Doorbell, Relay {
  readonly #kv: Deno.Kv;
  readonly #watchKv: Deno.Kv;
  readonly #isolate = crypto.randomUUID();
  readonly #ephemeral: EphemeralWriter;
  readonly #listeners = new Listeners();
  readonly #receivers = new Listeners<[EphemeralEvent]>();
  /** Listened channels of each shard. */
  readonly #served: number[] = new Array<number>(SHARDS).fill(0);
  readonly #read = Array.from(
    { length: SHARDS },
    (): Place => ({ versionstamp: undefined, at: 0, turns: new EphemeralDedup() }),
  );
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
  /** Two restarts at once would leave a watch that is never ended. */
  readonly #restarting = new SerialQueue();

  /**
   * @param watchKv a second handle on the store, for the watch alone: on one handle, watching took
   * the median latency between processes from 3 ms to 44.
   */
  constructor(kv: Deno.Kv, watchKv: Deno.Kv) {
    this.#kv = kv;
    this.#watchKv = watchKv;
    this.#ephemeral = new EphemeralWriter(kv, this.#isolate);
  }

  prepare(atomic: Deno.AtomicOperation, channelKeys: readonly ChannelKey[]): void {
    for (const [shard, moved] of Map.groupBy(channelKeys, shardOf)) {
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

  committed(channelKeys: readonly ChannelKey[], versionstamp: string | undefined): void {
    if (versionstamp === undefined) return; // its rows expire by themselves
    const at = Date.now();
    for (const shard of new Set(channelKeys.map(shardOf))) {
      this.#rows.push({ key: keys.change(shard, versionstamp), at });
    }
  }

  listen(channelKey: ChannelKey, onRing: () => void): Disposable {
    return this.#serving(channelKey, this.#listeners.add(channelKey, onRing));
  }

  relay(channelKey: ChannelKey, event: EphemeralEvent): void {
    this.#ephemeral.write(channelKey, event);
  }

  subscribe(channelKey: ChannelKey, onEvent: (event: EphemeralEvent) => void): Disposable {
    return this.#serving(channelKey, this.#receivers.add(channelKey, onEvent));
  }

  #serving(channelKey: ChannelKey, listening: Disposable): Disposable {
    const shard = shardOf(channelKey);
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
    const written = this.#ephemeral.close();
    await this.#restarting.idle();
    await this.#stopWatch();
    await written;
    await waitAtMost(this.#journals, CLOSE_TIMEOUT_MS).catch(() => {}); // the store is away
  }

  #serve(shard: number, change: 1 | -1): void {
    const before = this.#served[shard] ?? 0;
    this.#served[shard] = before + change;
    // A shard that is no longer served stays watched until the next restart, and is not read.
    if (change !== 1 || before !== 0) return;
    const place = this.#read[shard];
    if (place !== undefined) place.versionstamp = undefined;
    this.#startWatch(0);
  }

  #startWatch(delay: number): void {
    if (this.#closed || this.#restart !== undefined) return;
    this.#restart = setTimeout(() => {
      this.#restart = undefined;
      void this.#restarting.run(() => this.#restartWatch());
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
        shards.forEach((shard, i) => this.#seen(shard, value[i]?.versionstamp ?? ""));
        if (!this.#reading) this.#journals = this.#readJournals();
      }
    } catch {
      // The store is away. The watch starts anew below, and the safety poll covers the time between.
    }
    if (this.#watch?.reader === reader) this.#startWatch(1_000);
  }

  /** The shard's wake key, and with it the newest row of its journal, is of this commit. */
  #seen(shard: number, versionstamp: string): void {
    const place = this.#read[shard];
    if (place === undefined || this.#served[shard] === 0) return;
    if (place.versionstamp !== undefined) {
      if (versionstamp > place.versionstamp) this.#woken.add(shard);
      return;
    }
    place.versionstamp = versionstamp;
    place.at = Date.now();
    if (versionstamp !== "") this.#ringAll(shard); // for what moved since they began to listen
  }

  #ringAll(shard: number): void {
    this.#listeners.ring([...this.#listeners.channelKeys()].filter((a) => shardOf(a) === shard));
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
    const place = this.#read[shard];
    if (place?.versionstamp === undefined || this.#served[shard] === 0) return; // nobody listens
    const now = Date.now();
    // Rows may be gone already: then everyone of the shard is rung once.
    const isLate = now - place.at > JOURNAL_MS / 2;
    const start = [...keys.changes(shard), place.versionstamp, 0];
    const end = keys.changes(shard + 1);
    const rows = isLate
      ? (await Array.fromAsync(
        this.#kv.list<Change>({ start, end }, { limit: LATE_ROWS, reverse: true }),
      )).reverse()
      : this.#kv.list<Change>({ start, end }, { batchSize: KV_LIMITS.list });
    const moved = new Set<ChannelKey>();
    for await (const { key, value } of rows) {
      place.versionstamp = String(key[2]);
      if (value.by === this.#isolate) continue;
      for (const address of value.addresses) moved.add(address);
      if (value.notes !== undefined) this.#tell(value.notes, value, place);
    }
    place.at = now;
    if (isLate) this.#ringAll(shard);
    else this.#listeners.ring(moved);
  }

  #tell(notes: readonly EphemeralRow[], { by, turn = 0 }: Change, { turns }: Place): void {
    const newest = notes.at(-1)?.event.time ?? 0;
    if (!turns.accepts(by, turn, performance.now() - newest, MAX_EPHEMERAL_AGE_MS)) return;
    for (const { address: channelKey, event } of notes) {
      this.#receivers.ring([channelKey], event);
    }
  }
}
