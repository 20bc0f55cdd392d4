import { pause } from "../shared/async/delay.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";
import { Problem } from "../shared/problem.ts";
import { waitAtMost } from "../shared/async/deadline.ts";
import { type Change, type EphemeralRow, MAX_EPHEMERAL_AGE_MS, shardOf } from "./change.ts";
import { keys } from "./keys.ts";

/** Between the beginnings of two commits, in ms: what comes meanwhile leaves in one. */
const GATHER_MS = 10;
/** Of the notes that wait, as {@link sizeOf} has it. Met: a store that is away, or slow. */
const MAX_WAITING_BYTES = 1_048_576;
/** Of the notes in one row: a value has 65,536, and a note less than 40,000. */
const MAX_ROW_BYTES = 60_000;
/** How long a row stands, in ms: the others read it when it is written. */
const ROW_MS = 10_000;
/** Rows that one commit deletes. */
const MAX_DELETES = 500;
/** When the store deletes the rows of an isolate that died, in ms. */
const EXPIRE_MS = 60_000;
/** How long a failed commit is waited after, in ms. */
const RETRY_MS = 500;
/** How long closing waits for a store that doesn't answer, in ms. */
const CLOSE_TIMEOUT_MS = 1_000;

interface Row {
  readonly key: Deno.KvKey;
  /** Milliseconds of `performance.now()`. */
  readonly at: number;
}

/**
 * Writes ephemeral events into the change journals, for the isolates of other processes: the first
 * at once, and those that come while it is under way together. One commit at a time, so that an
 * isolate's notes keep their order. Deletes its rows after {@link ROW_MS}.
 */
export class EphemeralWriter {
  readonly #kv: Deno.Kv;
  readonly #isolate: string;
  #waiting: EphemeralRow[] = [];
  #waitingBytes = 0;
  /** Commits so far: a reader knows by it the row of a commit that was sent twice. */
  #turn = 0;
  #writing: Promise<void> | undefined;
  /** Oldest first. */
  #rows: Row[] = [];
  #sweep: ReturnType<typeof setTimeout> | undefined;
  #sweeping: Promise<void> | undefined;
  readonly #closing = new AbortController();

  /** @param isolate names the isolate in its rows. */
  constructor(kv: Deno.Kv, isolate: string) {
    this.#kv = kv;
    this.#isolate = isolate;
  }

  /** @throws {Problem} `overloaded` */
  write(channelKey: ChannelKey, event: EphemeralEvent): void {
    if (this.#closing.signal.aborted) return;
    const bytes = sizeOf(channelKey, event);
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      throw new Problem("overloaded", "Too many ephemeral events wait for the store.");
    }
    this.#waiting.push({ address: channelKey, event });
    this.#waitingBytes += bytes;
    this.#writing ??= this.#write().finally(() => this.#writing = undefined);
  }

  /** Drops what waits. Its rows are left to the store, which lets them expire. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#sweep);
    await waitAtMost(Promise.all([this.#writing, this.#sweeping]), CLOSE_TIMEOUT_MS);
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#closing.signal.aborted) {
      const begun = performance.now();
      try {
        await this.#commit(this.#take());
        const remainingMs = begun + GATHER_MS - performance.now();
        if (remainingMs > 0) await pause(remainingMs, this.#closing);
      } catch {
        // The store is away. These notes are lost, as ephemeral events may be.
        await pause(RETRY_MS, this.#closing);
      }
    }
  }

  /** What fits into a row a shard, of what isn't too old by now; the rest waits for the next. */
  #take(): ReadonlyMap<number, readonly EphemeralRow[]> {
    const taken = new Map<number, EphemeralRow[]>();
    const room = new Map<number, number>();
    const rest: EphemeralRow[] = [];
    this.#waitingBytes = 0;
    const oldest = Date.now() - MAX_EPHEMERAL_AGE_MS;
    for (const note of this.#waiting) {
      const { address: channelKey, event } = note;
      if (event.time < oldest) continue;
      const shard = shardOf(channelKey);
      const bytes = sizeOf(channelKey, event);
      const left = (room.get(shard) ?? MAX_ROW_BYTES) - bytes;
      // Once one didn't fit no later one may: it would overtake.
      room.set(shard, left < 0 ? -1 : left);
      if (left < 0) {
        rest.push(note);
        this.#waitingBytes += bytes;
        continue;
      }
      const notes = taken.get(shard);
      if (notes === undefined) taken.set(shard, [note]);
      else notes.push(note);
    }
    this.#waiting = rest;
    return taken;
  }

  async #commit(taken: ReadonlyMap<number, readonly EphemeralRow[]>): Promise<void> {
    if (taken.size === 0) return;
    const turn = ++this.#turn;
    const atomic = this.#kv.atomic();
    for (const [shard, notes] of taken) {
      const change: Change = { by: this.#isolate, addresses: [], turn, notes };
      const key = [...keys.changes(shard), this.#kv.commitVersionstamp()];
      atomic.set(keys.wake(shard), 0).set(key, change, { expireIn: EXPIRE_MS });
    }
    const result = await atomic.commit();
    if (!result.ok) throw new Error("a commit without checks cannot be refused");
    const at = performance.now();
    for (const shard of taken.keys()) {
      this.#rows.push({ key: keys.change(shard, result.versionstamp), at });
    }
    this.#sweepLater(ROW_MS);
  }

  #sweepLater(delay: number): void {
    if (this.#sweep !== undefined || this.#sweeping !== undefined || this.#closing.signal.aborted) {
      return;
    }
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined;
      this.#sweeping = this.#deleteRows().finally(() => {
        this.#sweeping = undefined;
        const [first] = this.#rows;
        // A second at least: under load many go at once.
        if (first) this.#sweepLater(Math.max(1_000, first.at + ROW_MS - performance.now()));
      });
    }, delay);
  }

  async #deleteRows(): Promise<void> {
    const old = performance.now() - ROW_MS;
    while (!this.#closing.signal.aborted) {
      const due = this.#rows.findIndex(({ at }) => at > old);
      const count = Math.min(due === -1 ? this.#rows.length : due, MAX_DELETES);
      if (count === 0) return;
      const atomic = this.#kv.atomic();
      for (const { key } of this.#rows.splice(0, count)) atomic.delete(key);
      try {
        await atomic.commit();
      } catch {
        return; // the store is away, and lets them expire by itself
      }
    }
  }
}

/** Bytes in a stored value, at the most: a string has two a character, or one. */
function sizeOf(channelKey: ChannelKey, { type, contentType, data }: EphemeralEvent): number {
  return 2 * (channelKey.length + type.length + contentType.length + data.length) + 200;
}
