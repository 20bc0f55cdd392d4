import { waitAtMost } from "../shared/async/deadline.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent, Relay } from "../shared/ephemeral.ts";
import { ChannelListeners } from "./channel_listeners.ts";
import { type ChannelChange, type CommitNews, type Doorbell, headsOf } from "./doorbell.ts";
import { EphemeralWriter } from "./ephemeral_writer.ts";
import { JOURNAL_MS, JournalReader } from "./journal_reader.ts";
import { shardOf, SHARDS, type WakeRow } from "./journal_row.ts";
import { keys } from "./keys.ts";
import { valueSize } from "./value_size.ts";
import { WakeWatch } from "./wake_watch.ts";

/** Journal rows that one commit deletes along with its own writes. */
const MAX_DELETES = 20;

/** How long closing waits for a store that does not answer, in ms. */
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * Bytes of a wake key's value. Each commit in one of an isolate's shards brings it the values of all
 * its shards, so this bounds what a commit costs the isolates that watch.
 */
const MAX_WAKE_BYTES = 4_096;

/**
 * @see {@link Doorbell.maxCarriedBytes} With 2 KiB, commits to eight channels with an event each were
 * 10 % slower. The rest of the value is for the names of channels.
 */
export const MAX_CARRIED_BYTES = 1_024;

/**
 * The doorbell and relay of a store that several processes share. Each commit writes the wake key of
 * its shards, which other isolates watch, and a row with the channels in each shard's journal. The
 * wake key of a small commit has its events, so that they need no further read: an isolate that
 * watches gets only the last commit's, and finds the others in the journal. Since every watcher makes
 * writes of a key slower, an isolate has one watch for all its shards.
 * Ephemeral events have rows of their own in the same journals.
 */
export class WatchDoorbell implements Doorbell, Relay {
  readonly maxCarriedBytes: number;
  readonly #kv: Deno.Kv;
  /** Short, since it is in each row: 48 random bits. */
  readonly #isolate = crypto.randomUUID().slice(-12);
  readonly #rings = new ChannelListeners<[CommitNews | undefined]>();
  readonly #events = new ChannelListeners<[EphemeralEvent]>();
  /** Number of listeners in each shard. */
  readonly #listenersOf = new Array<number>(SHARDS).fill(0);
  readonly #ephemeral: EphemeralWriter;
  readonly #journals: JournalReader;
  readonly #watch: WakeWatch;
  /** Rings on their way to the store. */
  readonly #ringing = new Set<Promise<void>>();
  /** Journal rows of this isolate, oldest first. */
  #rows: { readonly key: Deno.KvKey; readonly writtenAt: number }[] = [];

  /**
   * @param watchKv a second handle on the store, for the watch alone: on one handle, watching took
   * the median latency between processes from 3 ms to 44.
   * @param maxCarriedBytes 0 where what is written and watched is billed by its size.
   */
  constructor(kv: Deno.Kv, watchKv: Deno.Kv, maxCarriedBytes = MAX_CARRIED_BYTES) {
    this.#kv = kv;
    this.maxCarriedBytes = maxCarriedBytes;
    this.#ephemeral = new EphemeralWriter(kv, this.#isolate);
    this.#journals = new JournalReader({
      kv,
      isolate: this.#isolate,
      isServed: (shard) => this.#isServed(shard),
      onChanged: (channelKey, news) => this.#rings.call([channelKey], news),
      onUnknown: (shard) => this.#ringShard(shard),
      onEvent: (channelKey, event) => this.#events.call([channelKey], event),
    });
    this.#watch = new WakeWatch({
      kv: watchKv,
      shards: () => [...this.#listenersOf.keys()].filter((shard) => this.#isServed(shard)),
      onWake: (wakes) => this.#journals.wake(wakes),
    });
  }

  prepare(atomic: Deno.AtomicOperation, changes: readonly ChannelChange[]): void {
    for (const [shard, inShard] of Map.groupBy(changes, shardOfChange)) {
      const key = [...keys.changes(shard), this.#kv.commitVersionstamp()];
      const heads = headsOf(inShard);
      const row: WakeRow = {
        by: this.#isolate,
        addresses: inShard.map(({ channelKey }) => channelKey),
        ...heads !== undefined && { heads },
      };
      // Rows of an isolate that died expire.
      atomic.set(keys.wake(shard), this.#wakeValue(row, inShard)).set(key, row, {
        expireIn: JOURNAL_MS * 10,
      });
    }
    const expired = Date.now() - JOURNAL_MS;
    const due = this.#rows.findIndex(({ writtenAt }) => writtenAt > expired);
    const count = Math.min(due === -1 ? this.#rows.length : due, MAX_DELETES);
    for (const { key } of this.#rows.splice(0, count)) atomic.delete(key);
  }

  committed(changes: readonly ChannelChange[], versionstamp: string | undefined): void {
    if (versionstamp === undefined) return; // the rows expire
    const writtenAt = Date.now();
    for (const shard of new Set(changes.map(shardOfChange))) {
      this.#rows.push({ key: keys.change(shard, versionstamp), writtenAt });
    }
  }

  ring(change: ChannelChange): void {
    const ringing = this.#ring(change).catch(() => {}); // a ring may be lost
    this.#ringing.add(ringing);
    void ringing.then(() => this.#ringing.delete(ringing));
  }

  listen(channelKey: ChannelKey, onRing: (news?: CommitNews) => void): Disposable {
    return this.#serve(channelKey, this.#rings.add(channelKey, onRing));
  }

  relay(channelKey: ChannelKey, event: EphemeralEvent): void {
    this.#ephemeral.write(channelKey, event);
  }

  subscribe(channelKey: ChannelKey, onEvent: (event: EphemeralEvent) => void): Disposable {
    return this.#serve(channelKey, this.#events.add(channelKey, onEvent));
  }

  async close(): Promise<void> {
    await Promise.all([
      this.#ephemeral.close(),
      this.#watch.close(),
      this.#journals.close(),
      waitAtMost(Promise.all(this.#ringing), CLOSE_TIMEOUT_MS),
    ]);
  }

  async #ring(change: ChannelChange): Promise<void> {
    const atomic = this.#kv.atomic();
    this.prepare(atomic, [change]);
    const result = await atomic.commit();
    if (result.ok) this.committed([change], result.versionstamp);
  }

  /**
   * Serves the channel's shard until the result is disposed of. A shard without listeners stays
   * watched until the next restart of the watch, but its journal is not read.
   */
  #serve(channelKey: ChannelKey, listener: Disposable): Disposable {
    const shard = shardOf(channelKey);
    if (!this.#isServed(shard)) {
      this.#journals.skip(shard);
      this.#watch.restart();
    }
    this.#count(shard, +1);
    return {
      [Symbol.dispose]: () => {
        listener[Symbol.dispose]();
        this.#count(shard, -1);
      },
    };
  }

  /** Returns `row` with what `changes` carry; 0 if there is nothing, or too much for the value. */
  #wakeValue(row: WakeRow, changes: readonly ChannelChange[]): WakeRow | 0 {
    const carried = changes.map(({ carried }) => carried);
    if (this.maxCarriedBytes === 0 || carried.every((value) => value === undefined)) return 0;
    const value = { ...row, carried };
    return valueSize(value, MAX_WAKE_BYTES) <= MAX_WAKE_BYTES ? value : 0;
  }

  #count(shard: number, change: 1 | -1): void {
    this.#listenersOf[shard] = (this.#listenersOf[shard] ?? 0) + change;
  }

  #isServed(shard: number): boolean {
    return (this.#listenersOf[shard] ?? 0) > 0;
  }

  #ringShard(shard: number): void {
    const inShard = [...this.#rings.channelKeys()].filter((key) => shardOf(key) === shard);
    this.#rings.call(inShard, undefined);
  }
}

function shardOfChange({ channelKey }: ChannelChange): number {
  return shardOf(channelKey);
}
