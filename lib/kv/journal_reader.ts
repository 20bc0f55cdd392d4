import { waitAtMost } from "../shared/async/deadline.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { EphemeralEvent } from "../shared/ephemeral.ts";
import type { CommitNews } from "./doorbell.ts";
import { EphemeralDedup } from "./ephemeral_dedup.ts";
import { type JournalRow, MAX_EPHEMERAL_DELAY_MS, SHARDS, type WakeRow } from "./journal_row.ts";
import { keys } from "./keys.ts";
import { KV_LIMITS } from "./limits.ts";
import type { Wake } from "./wake_watch.ts";

/** Writers delete rows after this time. */
export const JOURNAL_MS = 60_000;

/** Newest rows that are read of a journal whose older rows may have been deleted. */
const LATE_ROWS = 100;

/** Commits whose news have come ahead of their rows. Guards the memory while rows cannot be read. */
const MAX_AHEAD = 1_000;

/** How long closing waits for a store that does not answer. */
const CLOSE_TIMEOUT_MS = 1_000;

interface JournalReaderOptions {
  readonly kv: Deno.Kv;
  /** The isolate whose rows are skipped, because it is this one. */
  readonly isolate: string;
  /** Returns whether there are listeners for channels of the shard. */
  readonly isServed: (shard: number) => boolean;
  /** Receives each channel in which a commit of another isolate has stored events. */
  readonly onChanged: (channelKey: ChannelKey, news: CommitNews) => void;
  /** Other isolates may have stored events in any channel of the shard. */
  readonly onUnknown: (shard: number) => void;
  /** Receives the ephemeral events of other isolates. */
  readonly onEvent: (channelKey: ChannelKey, event: EphemeralEvent) => void;
}

/** Up to where a shard's journal has been read. */
interface JournalPosition {
  /** The last row's; undefined if the position is still to be taken from the wake key. */
  versionstamp: string | undefined;
  /** When the journal was last read, in milliseconds since 1970. */
  readAt: number;
  /** Versionstamps of commits after `versionstamp` whose news a wake has brought. */
  readonly ahead: Set<string>;
  readonly dedup: EphemeralDedup;
}

/** Reads the shards' change journals when their wake keys have been written. */
export class JournalReader {
  readonly #options: JournalReaderOptions;
  readonly #positions = Array.from(
    { length: SHARDS },
    (): JournalPosition => ({
      versionstamp: undefined,
      readAt: 0,
      ahead: new Set(),
      dedup: new EphemeralDedup(),
    }),
  );
  /** Shards whose journals have unread rows. */
  readonly #woken = new Set<number>();
  #isReading = false;
  #reading: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: JournalReaderOptions) {
    this.#options = options;
  }

  /** Skips the rows up to the next wake of the shard: its first listener came only now. */
  skip(shard: number): void {
    const position = this.#positions[shard];
    if (position !== undefined) position.versionstamp = undefined;
  }

  /** Reads the journals of the shards that have new rows. */
  wake(wakes: readonly Wake[]): void {
    for (const wake of wakes) this.#wake(wake);
    if (!this.#isReading) this.#reading = this.#readWoken();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await waitAtMost(this.#reading, CLOSE_TIMEOUT_MS);
  }

  /** The versionstamp is that of the shard's newest journal row too: one commit wrote both. */
  #wake({ shard, versionstamp, row }: Wake): void {
    const position = this.#positions[shard];
    if (position === undefined || !this.#options.isServed(shard)) return;
    if (position.versionstamp !== undefined) {
      if (versionstamp <= position.versionstamp) return;
      this.#woken.add(shard);
      // The news of commits whose wakes were overwritten come with the journal.
      const isNew = !position.ahead.has(versionstamp) && position.ahead.size < MAX_AHEAD;
      if (row === undefined || row.by === this.#options.isolate || !isNew) return;
      position.ahead.add(versionstamp);
      this.#ring(row, versionstamp);
      return;
    }
    position.versionstamp = versionstamp;
    position.readAt = Date.now();
    // Events may have been stored between the first listener and the start of the watch.
    if (versionstamp !== "") this.#options.onUnknown(shard);
  }

  /** Never rejects. If the store does not answer, the log's safety poll finds the events. */
  async #readWoken(): Promise<void> {
    this.#isReading = true;
    try {
      while (this.#woken.size > 0 && !this.#isClosed) {
        const shards = [...this.#woken];
        this.#woken.clear();
        await Promise.all(shards.map((shard) => this.#read(shard)));
      }
    } catch {
      // See above.
    } finally {
      this.#isReading = false;
    }
  }

  async #read(shard: number): Promise<void> {
    const { kv, isolate, isServed, onUnknown } = this.#options;
    const position = this.#positions[shard];
    if (position?.versionstamp === undefined || !isServed(shard)) return;
    const now = Date.now();
    const isLate = now - position.readAt > JOURNAL_MS / 2;
    const start = [...keys.changes(shard), position.versionstamp, 0];
    const end = keys.changes(shard + 1);
    const rows = isLate
      ? (await Array.fromAsync(
        kv.list<JournalRow>({ start, end }, { limit: LATE_ROWS, reverse: true }),
      )).reverse()
      : kv.list<JournalRow>({ start, end }, { batchSize: KV_LIMITS.list });
    for await (const { key, value } of rows) {
      const versionstamp = String(key[2]);
      position.versionstamp = versionstamp;
      if (value.by === isolate) continue;
      if (!isLate && !position.ahead.has(versionstamp)) this.#ring(value, versionstamp);
      this.#deliver(value, position.dedup);
    }
    position.readAt = now;
    const { versionstamp: last } = position;
    for (const versionstamp of position.ahead) {
      if (versionstamp <= last) position.ahead.delete(versionstamp);
    }
    if (isLate) onUnknown(shard);
  }

  #ring({ by, addresses, heads, carried }: WakeRow, versionstamp: string): void {
    addresses.forEach((channelKey, i) => {
      const news: CommitNews = { by, versionstamp, head: heads?.[i] };
      const events = carried?.[i];
      this.#options.onChanged(
        channelKey,
        events === undefined ? news : { ...news, carried: events },
      );
    });
  }

  #deliver({ by, turn: commitNumber = 0, notes }: JournalRow, dedup: EphemeralDedup): void {
    if (notes === undefined) return;
    const newest = notes.at(-1)?.event.time ?? 0;
    if (!dedup.accepts(by, commitNumber, performance.now() - newest, MAX_EPHEMERAL_DELAY_MS)) {
      return;
    }
    for (const { address, event } of notes) this.#options.onEvent(address, event);
  }
}
