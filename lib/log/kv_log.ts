import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import type { StoreTraits } from "../kv/limits.ts";
import { readableRows } from "../kv/readable_rows.ts";
import { ConflictError, retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import { OTHER_ROOM, type StoreRoom } from "../kv/store_room.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import { Problem } from "../shared/problem.ts";
import { kindOf } from "../shared/problem_codes.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";
import { SharedReads } from "../shared/async/shared_reads.ts";
import { type Channel, type ChannelKey, channelOf, type Tenant } from "../shared/channel.ts";
import { ORIGIN, type Position } from "../shared/offset.ts";
import type { AppendTracer } from "./append_tracer.ts";
import { runOfCarried } from "./carried_events.ts";
import { Committer } from "./committer.ts";
import { Contention } from "./contention.ts";
import { ChannelCounts, isNew, sumChannels } from "./channel_counts.ts";
import { HeadCache } from "./head_cache.ts";
import { newHead, publicHead, type StoredHead } from "./head.ts";
import { beginLife, endLife, readHead, readHeadValue } from "./life.ts";
import type { LogObserver } from "./log_observer.ts";
import type {
  AppendedEvent,
  Bounds,
  ChannelInfo,
  Draft,
  Head,
  Log,
  LogListener,
  ReadBeforeResult,
  ReadResult,
  Retention,
} from "./log.ts";
import { readLogBefore } from "./read_before.ts";
import { readLog } from "./reader.ts";
import { RetentionJob } from "./retention.ts";
import { SafetyPoll } from "./safety_poll.ts";

/** Default interval of {@link SafetyPoll}. */
const SAFETY_POLL_MS = 3_000;
/** Heads that a list of channels reads at once. */
const LIST_BATCH = 100;

export interface KvLogOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  readonly traits: StoreTraits;
  /** @default always has room */
  readonly room?: StoreRoom;
  /** What channels keep that have no retention of their own. */
  readonly retention: Retention;
  /** Maximum number of channels of a tenant. @default Infinity */
  readonly maxChannels?: number;
  /** Returns whether retention deletes a channel that has no events left. @default always false */
  readonly deleteWhenEmpty?: (channelKey: ChannelKey) => Promise<boolean>;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** Milliseconds of a clock that never jumps. @default {performance.now} */
  readonly monotonicNow?: () => number;
  /** Returns a number from 0 to 1. @default {Math.random} */
  readonly random?: () => number;
  /** Between two polls for what the doorbell has missed; 0 disables them. @default 3_000 */
  readonly safetyPollMs?: number;
  /** @default undefined */
  readonly observer?: LogObserver;
  /** @default undefined */
  readonly tracer?: AppendTracer | undefined;
  /** Receives what retention has skipped. @default does nothing */
  readonly onWarning?: (message: string, cause?: unknown) => void;
}

/** The log on Deno KV. Does not own the store: its owner closes it after the log. */
export class KvLog implements Log {
  readonly #kv: Deno.Kv;
  readonly #doorbell: Doorbell;
  readonly #room: StoreRoom;
  readonly #observer: LogObserver | undefined;
  readonly #now: () => number;
  readonly #counts: ChannelCounts;
  readonly #contention: Contention;
  readonly #committer: Committer;
  readonly #retention: RetentionJob;
  readonly #retaining = new SerialQueue();
  readonly #listeners = new Map<ChannelKey, LogListener>();
  readonly #poll: SafetyPoll;
  /** Reads of heads, shared by subscribers that come at once. */
  readonly #heads: SharedReads<ChannelKey, StoredHead | null>;
  /** Reads and head changes under way; close() waits for them. */
  readonly #working = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(options: KvLogOptions) {
    const { kv, doorbell, traits, retention, now = Date.now, random = Math.random } = options;
    const { room = OTHER_ROOM } = options;
    this.#kv = kv;
    this.#room = room;
    this.#doorbell = doorbell;
    this.#observer = options.observer;
    this.#now = now;
    this.#heads = new SharedReads((channelKey) => withStoreTimeout(readHeadValue(kv, channelKey)));
    this.#counts = new ChannelCounts(kv, options.maxChannels ?? Infinity, now);
    const heads = new HeadCache(kv);
    this.#contention = new Contention(doorbell, heads);
    this.#committer = new Committer({
      kv,
      doorbell,
      traits,
      counts: this.#counts,
      heads,
      contention: this.#contention,
      now,
      random,
      isListened: (channelKey) => this.#listeners.has(channelKey),
      onCommitted: (run) => this.#listeners.get(run.channelKey)?.appended(run),
      refusal: () => room.refusal(),
      observer: options.observer,
      tracer: options.tracer,
    });
    this.#retention = new RetentionJob({
      kv,
      doorbell,
      maxChecks: traits.maxChecks,
      defaults: retention,
      now,
      monotonicNow: options.monotonicNow ?? (() => performance.now()),
      exclusively: (channelKey, work) => this.#committer.exclusively(channelKey, work),
      onFreed: (bytes) => room.freed(bytes),
      onWarning: options.onWarning ?? (() => {}),
      deleteWhenEmpty: options.deleteWhenEmpty ?? (() => Promise.resolve(false)),
      deleteChannel: async (channelKey, { epoch, last }) => {
        await this.#changeHead(
          channelKey,
          (head) => head?.epoch === epoch && head.last === last ? this.#deleted(head) : undefined,
        );
      },
    });
    this.#poll = new SafetyPoll({
      kv,
      listeners: this.#listeners,
      intervalMs: options.safetyPollMs ?? SAFETY_POLL_MS,
    });
  }

  append(drafts: readonly Draft[]): Promise<readonly AppendedEvent[]> {
    return this.#committer.append(drafts);
  }

  async head(channelKey: ChannelKey): Promise<Head | undefined> {
    const head = await this.#inTime(this.#heads.get(channelKey));
    return head === null || head.deleted ? undefined : publicHead(head);
  }

  async bounds(channelKey: ChannelKey): Promise<Bounds> {
    const head = await this.#inTime(this.#heads.get(channelKey));
    if (head === null) return { start: ORIGIN, end: ORIGIN };
    const { epoch, first, last } = head;
    return { start: { epoch, sequence: first - 1 }, end: { epoch, sequence: last } };
  }

  read(channelKey: ChannelKey, after: Position, limit: number): Promise<ReadResult> {
    return this.#inTime(readLog({ kv: this.#kv, channelKey, after, limit, now: this.#now() }));
  }

  readBefore(
    channelKey: ChannelKey,
    before: Position | undefined,
    limit: number,
  ): Promise<ReadBeforeResult> {
    const now = this.#now();
    return this.#inTime(readLogBefore({ kv: this.#kv, channelKey, before, limit, now }));
  }

  async channels(tenant: Tenant, after: string, limit: number): Promise<readonly ChannelInfo[]> {
    const read = async () => {
      const infos: ChannelInfo[] = [];
      // The 0 skips the name `after` itself: numbers sort after strings.
      const start = [...keys.heads(tenant), after, 0];
      const end = [...keys.heads(tenant), 0];
      const heads = readableRows<StoredHead>(this.#kv, {
        prefix: keys.heads(tenant),
        parts: ["string"],
        start,
        end,
        batchSize: LIST_BATCH,
        onUnreadable: () => {}, // retention reports it
      });
      for await (const entry of heads) {
        if (entry.value.deleted) continue; // by a version that kept it there
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
    if (changed === undefined) throw new Error("unreachable: configure() always writes a head");
    this.#makeRoom();
    return publicHead(changed);
  }

  async delete(channelKey: ChannelKey): Promise<boolean> {
    const next = await this.#changeHead(channelKey, (head) => {
      return head === null || head.deleted ? undefined : this.#deleted(head);
    });
    if (next !== undefined) this.#makeRoom();
    return next !== undefined;
  }

  listen(channelKey: ChannelKey, listener: LogListener): Disposable {
    if (this.#listeners.has(channelKey)) {
      throw new Error(`The channel ${channelOf(channelKey)} already has a listener.`);
    }
    this.#listeners.set(channelKey, listener);
    let newest = "";
    const doorbell = this.#doorbell.listen(channelKey, (news) => {
      if (news !== undefined) {
        if (news.versionstamp <= newest) return; // the listener has read the log since
        newest = news.versionstamp;
      }
      const run = runOfCarried(channelKey, news?.carried);
      // The log would have a gap for events that have expired meanwhile.
      if (run === undefined || run.expiresAt <= this.#now()) listener.changed();
      else listener.appended(run);
    });
    return {
      [Symbol.dispose]: () => {
        doorbell[Symbol.dispose]();
        this.#listeners.delete(channelKey);
        this.#poll.forget(channelKey);
      },
    };
  }

  retain(): Promise<void> {
    return this.#retaining.run(async () => {
      if (!this.#isClosed) await this.#retention.pass();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const released = this.#retaining.run(() => this.#retention.release());
    await Promise.all([
      this.#committer.close(),
      this.#poll.close(),
      Promise.allSettled(this.#working),
      withStoreTimeout(released).catch(() => {}), // the lease then expires by itself
    ]);
    this.#contention[Symbol.dispose]();
  }

  /** Returns the result of `work`. @throws {Problem} `storage_unavailable` after the timeout. */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    const inTime = withStoreTimeout(work);
    this.#working.add(inTime);
    try {
      return await inTime;
    } catch (cause) {
      if (cause instanceof Problem && kindOf(cause.code) === "storage") {
        this.#observer?.storeFailed("read");
      }
      throw cause;
    } finally {
      this.#working.delete(inTime);
    }
  }

  /** Does what the next pass of retention would do, if the store waits for it. */
  #makeRoom(): void {
    if (this.#room.refusal() === undefined || !this.#retaining.isIdle) return;
    this.retain().catch(() => {}); // the next pass reports what fails
  }

  #deleted({ epoch }: StoredHead): StoredHead {
    return { ...newHead(this.#now(), epoch), deleted: true };
  }

  /**
   * Replaces the head of a channel with what `change` returns, and returns it. Nothing happens if
   * that is undefined. The same commit marks an epoch that ends for deletion.
   */
  async #changeHead(
    channelKey: ChannelKey,
    change: (head: StoredHead | null) => StoredHead | undefined,
  ): Promise<StoredHead | undefined> {
    const work = async () => {
      const { head: before, row } = await readHead(this.#kv, channelKey);
      const head = change(before);
      if (head === undefined) return undefined;
      const atomic = this.#kv.atomic().check(row);
      if (isNew(before) !== isNew(head)) {
        if (isNew(before)) await this.#countNew(channelKey);
        sumChannels(atomic, [channelKey], isNew(head) ? -1 : 1);
      }
      if (head.deleted) endLife(atomic, channelKey, head);
      else {
        atomic.set(keys.head(channelKey), head);
        if (isNew(before)) beginLife(atomic, channelKey);
      }
      if (before !== null && before.epoch !== head.epoch) {
        atomic.set(keys.sweep(channelKey, before.epoch), 0);
      }
      this.#doorbell.prepare(atomic, [{ channelKey }]);
      const result = await retryLocked(() => atomic.commit());
      if (!result.ok) throw new ConflictError();
      this.#doorbell.committed([{ channelKey }], result.versionstamp);
      this.#listeners.get(channelKey)?.changed();
      return head;
    };
    const contended = "Too many concurrent changes of this channel; try again.";
    const attempt = () => this.#committer.exclusively(channelKey, work);
    return await this.#inTime(retryConflicts(attempt, contended));
  }

  /** @throws {Problem} `tenant_limit` */
  async #countNew(channelKey: ChannelKey): Promise<void> {
    await this.#counts.load([channelKey], new HeadCache(this.#kv));
    this.#counts.add([channelKey]);
  }
}
