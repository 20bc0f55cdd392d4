import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import { KV_LIMITS } from "../kv/limits.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { storageProblem, withStoreTimeout } from "../kv/storage_problem.ts";
import { type Channel, channelKeyOf, type Tenant } from "../shared/channel.ts";
import { waitAtMost } from "../shared/async/deadline.ts";
import type { Grant } from "./authority.ts";
import type { RevocationEntry } from "./revocations.ts";

/** What the doorbell is rung for: no tenant and no channel, whose names can't be these. */
const CONTROL_KEY = channelKeyOf("$weir" as Tenant, "$control" as Channel);

/** How long an entry about open connections stays for other isolates to read, in ms. */
export const NOTICE_MS = 60_000;
/** How long closing waits for a look at a store that doesn't answer, in ms. */
const CLOSE_TIMEOUT_MS = 1_000;

/** The stream goes on with another credential, in whichever isolate it is. */
export interface SwapEntry {
  readonly type: "swap";
  readonly stream: string;
  readonly grant: Grant;
}

/** An API key has another end than before. */
export interface ApiKeyEntry {
  readonly type: "key";
  readonly tenant: Tenant;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** What isolates tell each other. A reader ignores types that it doesn't know. */
export type ControlEntry = RevocationEntry | SwapEntry | ApiKeyEntry;

interface JournalRow<Entry> {
  readonly entry: Entry;
  /** Milliseconds since 1970; from then on nobody is told of it. */
  readonly expiresAt: number | undefined;
}

export interface ControlJournalOptions<Entry> {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  /** Told of each entry, with the key of its row, until the journal is closed. */
  readonly onEntry: (entry: Entry, key: Deno.KvKey) => void;
  /** Told once when the store goes away, and of each error of `onEntry`. */
  readonly onError: (cause: unknown) => void;
  /** Milliseconds between two looks for what the doorbell missed. @default {1000} */
  readonly pollMs?: number;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
}

/**
 * How the isolates of all processes on a store tell each other what concerns open connections.
 * Every isolate is told of every entry: those that stand when it opens the journal before anything
 * else, later ones by a doorbell, or by a poll within a second where that is lost.
 *
 * Others' entries come in the order of their commits, own ones as soon as they are durable: an own
 * one may overtake another's. Each row is told once; a commit that the KV Connect client repeats
 * because its answer was lost leaves two rows, so that entries must bear being told twice.
 *
 * While the store is away one look waits for it, inside the KV Connect client, and no other joins it.
 * It goes on when the client next tries: 40–140 ms after the store was back, measured over outages
 * of 3 to 30 s.
 */
export class ControlJournal<Entry extends { readonly type: string } = ControlEntry> {
  readonly #options: ControlJournalOptions<Entry>;
  readonly #now: () => number;
  readonly #ringing: Disposable;
  readonly #poll: ReturnType<typeof setInterval>;
  /** Versionstamp of the last row that was read. */
  #cursor = "";
  /** Own rows behind the cursor, which have been told already. */
  readonly #ahead = new Set<string>();
  /** The look under way. */
  #looking: Promise<void> | undefined;
  /** Whether something may have come since the look under way began to read. */
  #isDue = false;
  #isAway = false;
  #isClosed = false;

  private constructor(options: ControlJournalOptions<Entry>) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const look = () => void this.#look().catch(() => {}); // told by #watch
    this.#ringing = options.doorbell.listen(CONTROL_KEY, look);
    this.#poll = setInterval(look, options.pollMs ?? 1_000);
  }

  /**
   * Resolves when `onEntry` was told of all entries that stand; while the store is away it waits
   * as the store's client does, since nobody can say what was revoked.
   *
   * @throws {Problem} `storage_*`
   */
  static async open<Entry extends { readonly type: string } = ControlEntry>(
    options: ControlJournalOptions<Entry>,
  ): Promise<ControlJournal<Entry>> {
    const journal = new ControlJournal<Entry>(options);
    try {
      await journal.#look();
      return journal;
    } catch (cause) {
      await journal.close();
      throw storageProblem(cause);
    }
  }

  /**
   * Resolves with the row's key when the entry is durable and was told here.
   *
   * @param expiresAt milliseconds since 1970 at which it is forgotten; undefined: never.
   * @param replaces rows that are deleted in the same commit.
   * @throws {Problem} `storage_*`: then it may become durable yet, and is told if it does.
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
    doorbell.prepare(atomic, [CONTROL_KEY]);
    const result = await withStoreTimeout(retryLocked(() => atomic.commit()));
    if (!result.ok) throw new Error("a commit without checks cannot be refused");
    const { versionstamp } = result;
    const key = [...keys.control(), versionstamp];
    doorbell.committed([CONTROL_KEY], versionstamp);
    if (versionstamp > this.#cursor) {
      this.#ahead.add(versionstamp);
      this.#tell(row, key);
    }
    return key;
  }

  /** Nobody is told of anything from here on. The store must still be open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#poll);
    this.#ringing[Symbol.dispose]();
    const looking = this.#looking?.catch(() => {}); // told by #watch
    if (looking !== undefined) await waitAtMost(looking, CLOSE_TIMEOUT_MS);
  }

  /** Reads what has come; one look at a time, which goes on if something may have come meanwhile. */
  #look(): Promise<void> {
    this.#isDue = true;
    if (this.#looking === undefined) {
      this.#looking = this.#readOn();
      void this.#watch(this.#looking);
    }
    return this.#looking;
  }

  async #readOn(): Promise<void> {
    try {
      while (this.#isDue && !this.#isClosed) {
        this.#isDue = false;
        // Just behind the cursor; numbers sort behind all strings.
        const start = [...keys.control(), this.#cursor, 0];
        const end = [...keys.control(), 0];
        const rows = this.#options.kv.list<JournalRow<Entry>>({ start, end }, {
          batchSize: KV_LIMITS.list,
        });
        for await (const { key, value, versionstamp } of rows) {
          this.#cursor = versionstamp;
          if (!this.#ahead.delete(versionstamp)) this.#tell(value, key);
        }
        // Those that were replaced before they were read.
        for (const own of this.#ahead) if (own < this.#cursor) this.#ahead.delete(own);
      }
    } finally {
      this.#looking = undefined;
    }
  }

  /** Says that a look failed or takes too long: once, until one succeeds. */
  async #watch(look: Promise<void>): Promise<void> {
    try {
      await withStoreTimeout(look);
      this.#isAway = false;
    } catch (problem) {
      if (this.#isAway || this.#isClosed) return;
      this.#isAway = true;
      this.#options.onError(problem);
    }
  }

  #tell({ entry, expiresAt }: JournalRow<Entry>, key: Deno.KvKey): void {
    if (this.#isClosed || (expiresAt !== undefined && expiresAt <= this.#now())) return;
    try {
      this.#options.onEntry(entry, key);
    } catch (cause) {
      this.#options.onError(cause);
    }
  }
}
