import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { storageProblem, withStoreTimeout } from "../kv/storage_problem.ts";
import { type Channel, channelKeyOf, type Tenant } from "../shared/channel.ts";
import { waitAtMost } from "../shared/async/deadline.ts";
import type { Grant } from "./authority.ts";
import type { RevocationEntry } from "./revocations.ts";

/** The channel key that the doorbell rings for. No tenant or channel can have these names. */
const CONTROL_KEY = channelKeyOf("$weir" as Tenant, "$control" as Channel);

/** How long an entry about open connections stays for other isolates to read, in ms. */
export const NOTICE_MS = 60_000;
/** How long closing waits for a read of a store that does not answer, in ms. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Gives a stream, in any isolate, another credential. */
export interface SwapEntry {
  readonly type: "swap";
  readonly stream: string;
  readonly grant: Grant;
}

/** Changes the expiry of an API key. */
export interface ApiKeyEntry {
  readonly type: "key";
  readonly tenant: Tenant;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** An entry of the journal. Readers ignore unknown types. */
export type ControlEntry = RevocationEntry | SwapEntry | ApiKeyEntry;

interface JournalRow<Entry> {
  readonly entry: Entry;
  /** Milliseconds since 1970 at which the entry is no longer applied; never if undefined. */
  readonly expiresAt: number | undefined;
}

export interface ControlJournalOptions<Entry> {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  /** Receives each entry, with the key of its row, until the journal is closed. */
  readonly onEntry: (entry: Entry, key: Deno.KvKey) => void;
  /** Called once when the store becomes unavailable, and for each error of `onEntry`. */
  readonly onError: (cause: unknown) => void;
  /** How often the journal is read without a ring, in ms. @default {1000} */
  readonly pollMs?: number;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
}

/**
 * Carries what concerns open connections between the isolates of all processes on a store, as rows
 * that every isolate reads: existing ones while it opens the journal, later ones when the doorbell
 * rings, or by a poll within a second if a ring is lost.
 *
 * Entries of other isolates arrive in the order of their commits. Own entries are applied as soon
 * as they are durable, possibly before earlier ones of others. Each row is applied once, but the KV
 * Connect client repeats a commit whose answer was lost, which leaves two rows: applying an entry
 * must be idempotent.
 *
 * While the store is unavailable, one read waits inside the KV Connect client and no other starts.
 * It continues when the client retries: 40–140 ms after the store was back, measured over outages of
 * 3 to 30 s.
 */
export class ControlJournal<Entry extends { readonly type: string } = ControlEntry> {
  readonly #options: ControlJournalOptions<Entry>;
  readonly #now: () => number;
  readonly #ringing: Disposable;
  readonly #poll: ReturnType<typeof setInterval>;
  /** The versionstamp of the last row that was read. */
  #cursor = "";
  /** Versionstamps of own rows after the cursor, which have been applied already. */
  readonly #ahead = new Set<string>();
  /** The running read. */
  #reading: Promise<void> | undefined;
  /** Whether rows may have been added since the running read began. */
  #isStale = false;
  #isUnavailable = false;
  #isClosed = false;

  private constructor(options: ControlJournalOptions<Entry>) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const read = () => void this.#read().catch(() => {}); // #watch reports it
    this.#ringing = options.doorbell.listen(CONTROL_KEY, read);
    this.#poll = setInterval(read, options.pollMs ?? 1_000);
  }

  /**
   * Resolves when `onEntry` has received all existing entries. While the store is unavailable it
   * waits as the store's client does, since revocations cannot be known.
   *
   * @throws {Problem} `storage_*`
   */
  static async open<Entry extends { readonly type: string } = ControlEntry>(
    options: ControlJournalOptions<Entry>,
  ): Promise<ControlJournal<Entry>> {
    const journal = new ControlJournal<Entry>(options);
    try {
      await journal.#read();
      return journal;
    } catch (cause) {
      await journal.close();
      throw storageProblem(cause);
    }
  }

  /**
   * Resolves with the row's key when the entry is durable and applied here.
   *
   * @param expiresAt milliseconds since 1970 at which the row is deleted; never if undefined.
   * @param replaces rows that are deleted in the same commit.
   * @throws {Problem} `storage_*`: the entry may still become durable, and is applied if it does.
   */
  async write(
    entry: Entry,
    expiresAt: number | undefined,
    replaces: readonly Deno.KvKey[] = [],
  ): Promise<Deno.KvKey> {
    const { kv, doorbell } = this.#options;
    const row: JournalRow<Entry> = { entry, expiresAt };
    const atomic = kv.atomic().set(
      [...keys.control(), kv.commitVersionstamp()],
      row,
      expiresAt === undefined ? {} : { expireIn: Math.max(expiresAt - this.#now(), 1) },
    );
    for (const key of replaces) atomic.delete(key);
    doorbell.prepare(atomic, [{ channelKey: CONTROL_KEY }]);
    const result = await withStoreTimeout(retryLocked(() => atomic.commit()));
    if (!result.ok) throw new Error("a commit without checks cannot be refused");
    const { versionstamp } = result;
    const key = [...keys.control(), versionstamp];
    doorbell.committed([{ channelKey: CONTROL_KEY }], versionstamp);
    if (versionstamp > this.#cursor) {
      this.#ahead.add(versionstamp);
      this.#apply(row, key);
    }
    return key;
  }

  /** Stops calling `onEntry`. The store must still be open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#poll);
    this.#ringing[Symbol.dispose]();
    const reading = this.#reading?.catch(() => {}); // #watch reports it
    if (reading !== undefined) await waitAtMost(reading, CLOSE_TIMEOUT_MS);
  }

  /** Reads new rows, one read at a time. A running read repeats if rows may have been added. */
  #read(): Promise<void> {
    this.#isStale = true;
    if (this.#reading === undefined) {
      this.#reading = this.#readRows();
      void this.#watch(this.#reading);
    }
    return this.#reading;
  }

  async #readRows(): Promise<void> {
    try {
      while (this.#isStale && !this.#isClosed) {
        this.#isStale = false;
        // Just after the cursor: numbers sort after all strings.
        const start = [...keys.control(), this.#cursor, 0];
        const end = [...keys.control(), 0];
        const rows = this.#options.kv.list<JournalRow<Entry>>({ start, end }, {
          batchSize: KV_LIMITS.list,
        });
        for await (const { key, value, versionstamp } of rows) {
          this.#cursor = versionstamp;
          if (!this.#ahead.delete(versionstamp)) this.#apply(value, key);
        }
        // Rows that were replaced before they were read.
        for (const own of this.#ahead) if (own < this.#cursor) this.#ahead.delete(own);
      }
    } finally {
      this.#reading = undefined;
    }
  }

  /** Reports a read that fails or takes too long: once, until one succeeds. */
  async #watch(read: Promise<void>): Promise<void> {
    try {
      await withStoreTimeout(read);
      this.#isUnavailable = false;
    } catch (problem) {
      if (this.#isUnavailable || this.#isClosed) return;
      this.#isUnavailable = true;
      this.#options.onError(problem);
    }
  }

  #apply({ entry, expiresAt }: JournalRow<Entry>, key: Deno.KvKey): void {
    if (this.#isClosed || (expiresAt !== undefined && expiresAt <= this.#now())) return;
    try {
      this.#options.onEntry(entry, key);
    } catch (cause) {
      this.#options.onError(cause);
    }
  }
}
