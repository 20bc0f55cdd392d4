import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import type { StoreTraits } from "../kv/limits.ts";
import { ConflictError, retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";
import { type Channel, type ChannelKey, channelOf, type Tenant } from "../shared/channel.ts";
import type { Position } from "../shared/offset.ts";
import { Committer } from "./committer.ts";
import { ChannelCounts, isNew, sumChannels } from "./channel_counts.ts";
import { HeadCache, readHeads } from "./head_cache.ts";
import { newHead, publicHead, type StoredHead } from "./head.ts";
import type { LogObserver } from "./log_observer.ts";
import type {
  AppendedEvent,
  ChannelInfo,
  Draft,
  Head,
  Log,
  LogListener,
  ReadResult,
  Retention,
} from "./log.ts";
import { readLog } from "./reader.ts";
import { RetentionJob } from "./retention.ts";

/** Between two looks at the heads of all listened channels, in ms: for a doorbell that died. */
const SAFETY_POLL = 3_000;
/** How long a deleted channel's next epoch is remembered, in ms. Clocks differ by less. */
const TOMBSTONE_MS = 24 * 60 * 60 * 1_000;

export interface KvLogOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  readonly traits: StoreTraits;
  /** What a channel keeps where it says nothing else. */
  readonly retention: Retention;
  /** Channels that a tenant may have. @default Infinity */
  readonly maxChannels?: number;
  /** Returns whether retention deletes a channel that has no events left. @default always false */
  readonly deleteWhenEmpty?: (channelKey: ChannelKey) => Promise<boolean>;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** From 0 to 1. @default {Math.random} */
  readonly random?: () => number;
  /** Milliseconds between two looks for what the doorbell missed; 0: none. @default {3000} */
  readonly safetyPollMs?: number;
  /** @default nobody wants to know */
  readonly observer?: LogObserver;
}

/** The log on Deno KV. It does not own the store: who opened that closes it, after the log. */
export class KvLog implements Log {
  readonly #kv: Deno.Kv;
  readonly #doorbell: Doorbell;
  readonly #now: () => number;
  readonly #counts: ChannelCounts;
  readonly #committer: Committer;
  readonly #retainer: RetentionJob;
  readonly #listeners = new Map<ChannelKey, LogListener>();
  readonly #polled = new Map<ChannelKey, string | null>();
  readonly #poll: ReturnType<typeof setInterval> | undefined;
  /** The look under way: the next waits until it is over, however slow the store is. */
  #polling: Promise<void> | undefined;
  readonly #retaining = new SerialQueue();
  /** Reads and changes of heads under way. */
  readonly #working = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(options: KvLogOptions) {
    const { kv, doorbell, traits, retention, now = Date.now, random = Math.random } = options;
    this.#kv = kv;
    this.#doorbell = doorbell;
    this.#now = now;
    this.#counts = new ChannelCounts(kv, options.maxChannels ?? Infinity, now);
    this.#committer = new Committer({
      kv,
      doorbell,
      traits,
      counts: this.#counts,
      heads: new HeadCache(kv),
      now,
      random,
      isListened: (channelKey) => this.#listeners.has(channelKey),
      onCommitted: (run) => this.#listeners.get(run.channelKey)?.appended(run),
      observer: options.observer,
    });
    this.#retainer = new RetentionJob({
      kv,
      doorbell,
      defaults: retention,
      now,
      deleteWhenEmpty: options.deleteWhenEmpty ?? (() => Promise.resolve(false)),
      deleteChannel: async (channelKey, { epoch, last }) => {
        await this.#changeHead(
          channelKey,
          (head) => head?.epoch === epoch && head.last === last ? this.#ended(head) : undefined,
        );
      },
    });
    const { safetyPollMs: safetyPoll = SAFETY_POLL } = options;
    if (safetyPoll > 0) {
      this.#poll = setInterval(() => {
        this.#polling ??= this.#pollHeads().finally(() => this.#polling = undefined);
      }, safetyPoll);
    }
  }

  append(drafts: readonly Draft[]): Promise<readonly AppendedEvent[]> {
    return this.#committer.append(drafts);
  }

  async head(channelKey: ChannelKey): Promise<Head | undefined> {
    const { value } = await this.#inTime(this.#kv.get<StoredHead>(keys.head(channelKey)));
    return value === null || value.deleted ? undefined : publicHead(value);
  }

  read(channelKey: ChannelKey, after: Position, limit: number): Promise<ReadResult> {
    return this.#inTime(readLog(this.#kv, channelKey, after, limit, this.#now()));
  }

  async channels(tenant: Tenant, after: string, limit: number): Promise<readonly ChannelInfo[]> {
    const read = async () => {
      const infos: ChannelInfo[] = [];
      // Just after the name `after`; numbers sort behind all strings.
      const start = [...keys.heads(tenant), after, 0];
      const end = [...keys.heads(tenant), 0];
      for await (const entry of this.#kv.list<StoredHead>({ start, end })) {
        if (entry.value.deleted) continue;
        infos.push({ channel: entry.key[2] as Channel, ...publicHead(entry.value) });
        if (infos.length === limit) break;
      }
      return infos;
    };
    return await this.#inTime(read());
  }

  async configure(channelKey: ChannelKey, retention: Partial<Retention>): Promise<Head> {
    const changed = await this.#changeHead(channelKey, (head) => ({
      ...head ?? newHead(this.#now()),
      deleted: false,
      retention,
    }));
    if (changed === undefined) throw new Error("a configured channel has a head");
    return publicHead(changed);
  }

  async delete(channelKey: ChannelKey): Promise<boolean> {
    const next = await this.#changeHead(channelKey, (head) => {
      return head === null || head.deleted ? undefined : this.#ended(head);
    });
    return next !== undefined;
  }

  listen(channelKey: ChannelKey, listener: LogListener): Disposable {
    if (this.#listeners.has(channelKey)) {
      throw new Error(`${channelOf(channelKey)} has its listener`);
    }
    this.#listeners.set(channelKey, listener);
    const ringing = this.#doorbell.listen(channelKey, () => listener.changed());
    return {
      [Symbol.dispose]: () => {
        ringing[Symbol.dispose]();
        this.#listeners.delete(channelKey);
        this.#polled.delete(channelKey);
      },
    };
  }

  retain(): Promise<void> {
    return this.#retaining.run(async () => {
      if (!this.#isClosed) await this.#retainer.pass();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#poll);
    const released = this.#retaining.run(() => this.#retainer.release());
    await Promise.all([
      this.#committer.close(),
      this.#polling,
      Promise.allSettled(this.#working),
      withStoreTimeout(released).catch(() => {}), // then the lease ends by its time
    ]);
  }

  /** `work`, whose end closing waits for; `storage_unavailable` where it takes too long. */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    const inTime = withStoreTimeout(work);
    this.#working.add(inTime);
    try {
      return await inTime;
    } finally {
      this.#working.delete(inTime);
    }
  }

  #ended({ epoch }: StoredHead): StoredHead {
    return { ...newHead(this.#now(), epoch), deleted: true };
  }

  /**
   * Replaces the head of a channel, unless `change` gives none; the new head. A life that ends is
   * marked for the sweep in the same commit.
   */
  async #changeHead(
    channelKey: ChannelKey,
    change: (head: StoredHead | null) => StoredHead | undefined,
  ): Promise<StoredHead | undefined> {
    const work = async () => {
      const entry = await this.#kv.get<StoredHead>(keys.head(channelKey));
      const head = change(entry.value);
      if (head === undefined) return undefined;
      const atomic = this.#kv.atomic().check(entry);
      if (isNew(entry.value) !== isNew(head)) {
        if (isNew(entry.value)) await this.#countNew(channelKey);
        sumChannels(atomic, [channelKey], isNew(head) ? -1 : 1);
      }
      atomic.set(entry.key, head, head.deleted ? { expireIn: TOMBSTONE_MS } : {});
      if (entry.value !== null && entry.value.epoch !== head.epoch) {
        atomic.set(keys.sweep(channelKey, entry.value.epoch), 0);
      }
      this.#doorbell.prepare(atomic, [channelKey]);
      const result = await retryLocked(() => atomic.commit());
      if (!result.ok) throw new ConflictError();
      this.#doorbell.committed([channelKey], result.versionstamp);
      this.#listeners.get(channelKey)?.changed();
      return head;
    };
    const contended = "Too many concurrent changes of this channel; try again.";
    return await this.#inTime(retryConflicts(work, contended));
  }

  /** @throws {Problem} `tenant_limit` */
  async #countNew(channelKey: ChannelKey): Promise<void> {
    await this.#counts.load([channelKey], new HeadCache(this.#kv));
    this.#counts.add([channelKey]);
  }

  /** Rings for every listened channel whose head is not the one of the last look. */
  async #pollHeads(): Promise<void> {
    const channelKeys = [...this.#listeners.keys()];
    try {
      const heads = await withStoreTimeout(readHeads(this.#kv, channelKeys));
      channelKeys.forEach((channelKey, i) => {
        const versionstamp = heads[i]?.versionstamp ?? null;
        const before = this.#polled.get(channelKey);
        const listener = this.#listeners.get(channelKey);
        if (listener === undefined) return;
        this.#polled.set(channelKey, versionstamp);
        if (before !== versionstamp) listener.changed();
      });
    } catch {
      // The store is away; the next look comes soon, and streams say nothing until then.
    }
  }
}
