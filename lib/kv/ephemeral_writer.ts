import { waitAtMost } from "../shared/async/deadline.ts";
import { pause } from "../shared/async/delay.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";
import { Problem } from "../shared/problem.ts";
import {
  type JournalEvent,
  type JournalRow,
  MAX_EPHEMERAL_DELAY_MS,
  shardOf,
} from "./journal_row.ts";
import { keys } from "./keys.ts";
import { RowSweeper } from "./row_sweeper.ts";

/** Time from the start of one commit to the next. Events in between share a commit. */
const BATCH_INTERVAL_MS = 10;
/** Bytes of waiting events. Guards against memory filling up while the store is slow or away. */
const MAX_WAITING_BYTES = 1_048_576;
/** Bytes of the events in one row: a value may have 65,536, and an event has less than 40,000. */
const MAX_ROW_BYTES = 60_000;
/** How long a row exists. Other isolates read it when it is written. */
const ROW_LIFETIME_MS = 10_000;
/** When the store deletes the rows of an isolate that died. */
const EXPIRE_MS = 60_000;
/** Pause after a failed commit. */
const RETRY_DELAY_MS = 500;
/** How long closing waits for a store that does not answer. */
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * Writes ephemeral events into the change journals, for isolates of other processes. The first event
 * is written immediately; those that come during its commit share the next one. Only one commit is
 * under way at a time, so an isolate's events keep their order.
 */
export class EphemeralWriter {
  readonly #kv: Deno.Kv;
  readonly #isolate: string;
  readonly #sweeper: RowSweeper;
  #waiting: JournalEvent[] = [];
  #waitingBytes = 0;
  /** Number of commits. Readers recognize by it a commit that was repeated. */
  #commitNumber = 0;
  #writing: Promise<void> | undefined;
  readonly #closing = new AbortController();

  /** @param isolate identifies this isolate in its rows. */
  constructor(kv: Deno.Kv, isolate: string) {
    this.#kv = kv;
    this.#isolate = isolate;
    this.#sweeper = new RowSweeper(kv, ROW_LIFETIME_MS);
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
    this.#writing ??= this.#writeAll();
  }

  /** Drops waiting events. Rows that exist expire. */
  async close(): Promise<void> {
    this.#closing.abort();
    const swept = this.#sweeper.close();
    if (this.#writing !== undefined) await waitAtMost(this.#writing, CLOSE_TIMEOUT_MS);
    await swept;
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#closing.signal.aborted) {
      const startedAt = performance.now();
      try {
        await this.#commit(this.#takeRows());
        const remainingMs = startedAt + BATCH_INTERVAL_MS - performance.now();
        if (remainingMs > 0) await pause(remainingMs, this.#closing);
      } catch {
        // The store does not answer, and the events are lost. Ephemeral events have no guarantee.
        await pause(RETRY_DELAY_MS, this.#closing);
      }
    }
    // In the same turn of the event loop as the last check: an event that comes now starts the next loop.
    this.#writing = undefined;
  }

  #takeRows(): ReadonlyMap<number, readonly JournalEvent[]> {
    const { rows, remaining } = packRows(this.#waiting, Date.now());
    this.#waiting = remaining;
    this.#waitingBytes = 0;
    for (const { address, event } of remaining) this.#waitingBytes += sizeOf(address, event);
    return rows;
  }

  async #commit(rows: ReadonlyMap<number, readonly JournalEvent[]>): Promise<void> {
    if (rows.size === 0) return;
    const commitNumber = ++this.#commitNumber;
    const atomic = this.#kv.atomic();
    for (const [shard, notes] of rows) {
      const row: JournalRow = { by: this.#isolate, addresses: [], turn: commitNumber, notes };
      const key = [...keys.changes(shard), this.#kv.commitVersionstamp()];
      atomic.set(keys.wake(shard), 0).set(key, row, { expireIn: EXPIRE_MS });
    }
    const result = await atomic.commit();
    if (!result.ok) throw new Error("a commit without checks cannot be refused");
    const { versionstamp } = result;
    this.#sweeper.add(Array.from(rows.keys(), (shard) => keys.change(shard, versionstamp)));
  }
}

/**
 * Takes from `waiting` the events of one commit: as many as fit into one row of each shard. Drops
 * those that have waited too long.
 *
 * @returns the events of each shard's row, and those that remain for the next commit.
 */
function packRows(waiting: readonly JournalEvent[], now: number): {
  readonly rows: ReadonlyMap<number, readonly JournalEvent[]>;
  readonly remaining: JournalEvent[];
} {
  const rows = new Map<number, JournalEvent[]>();
  const roomOf = new Map<number, number>();
  const remaining: JournalEvent[] = [];
  for (const item of waiting) {
    const { address, event } = item;
    if (event.time < now - MAX_EPHEMERAL_DELAY_MS) continue;
    const shard = shardOf(address);
    const room = (roomOf.get(shard) ?? MAX_ROW_BYTES) - sizeOf(address, event);
    // Once an event did not fit, no later one of its shard may: it would overtake that event.
    roomOf.set(shard, room < 0 ? -1 : room);
    if (room < 0) {
      remaining.push(item);
      continue;
    }
    const row = rows.get(shard);
    if (row === undefined) rows.set(shard, [item]);
    else row.push(item);
  }
  return { rows, remaining };
}

/** Returns an upper bound of the bytes in a stored value: a character takes one or two. */
function sizeOf(channelKey: ChannelKey, event: EphemeralEvent): number {
  const { type, contentType, data, publisher = "", traceparent = "" } = event;
  const names = channelKey.length + type.length + contentType.length + publisher.length +
    traceparent.length;
  return 2 * (names + data.length) + 200;
}
