import { STORE_TIMEOUT_MS, type StoreTraits } from "../kv/limits.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import type { AppendTracer } from "./append_tracer.ts";
import { channelKeysBytes, takeGroup } from "./append_group.ts";
import { GroupCommit, type GroupCommitOptions } from "./group_commit.ts";
import type { Contention } from "./contention.ts";
import type { HeadCache } from "./head_cache.ts";
import type { AppendedEvent, Draft } from "./log.ts";
import {
  channelKeysOf,
  commitUnknown,
  isEssential,
  type PendingAppend,
  settle,
} from "./pending_append.ts";
import { ATOMIC_KEY_BYTES, storeDrafts } from "./stored_drafts.ts";

/** Appends that wait for their commit; more are refused. Guards the memory against a flood. */
const MAX_PENDING = 10_000;
/** Bytes of the appends that wait for their commit; more are refused. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** Bytes of memory that a waiting event takes in addition to its data. */
const EVENT_OVERHEAD_BYTES = 512;

/** Between two checks for appends that have waited too long. */
const TIMEOUT_TICK_MS = 250;

interface CommitterOptions extends Omit<GroupCommitOptions, "isAbandoned"> {
  readonly traits: StoreTraits;
}

/**
 * Gathers appends and commits them in groups: those that arrive during a commit go together into the
 * next one. A channel is in one commit at a time, so its appends keep their order. If other isolates
 * append to it too, the commits take turns ({@link Contention}), and appends gather meanwhile.
 */
export class Committer {
  readonly #traits: StoreTraits;
  readonly #commit: GroupCommit;
  #queue: PendingAppend[] = [];
  #pendingBytes = 0;
  readonly #heads: HeadCache;
  readonly #contention: Contention;
  readonly #storeRefusal: GroupCommitOptions["refusal"];
  readonly #tracer: AppendTracer | undefined;
  /** Channels in a commit under way, that give way to others, or that {@link exclusively} has. */
  readonly #busy = new Set<ChannelKey>();
  /** Start the work that waits for its turn at a channel. */
  readonly #waiters = new Map<ChannelKey, (() => void)[]>();
  readonly #groups = new Set<readonly PendingAppend[]>();
  /** Groups of {@link #groups} that count towards the commits in flight. */
  #inFlight = 0;
  #timeouts: ReturnType<typeof setInterval> | undefined;
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(options: CommitterOptions) {
    this.#traits = options.traits;
    this.#heads = options.heads;
    this.#contention = options.contention;
    this.#storeRefusal = options.refusal;
    this.#tracer = options.tracer;
    this.#commit = new GroupCommit({
      ...options,
      isAbandoned: (group) => this.#isAbandoned(group),
    });
  }

  /** @see {@link import("./log.ts").Log.append} */
  append(drafts: readonly Draft[]): Promise<readonly AppendedEvent[]> {
    const channelKeys = [...new Set(drafts.map((draft) => draft.channelKey))];
    const rowChecks: Deno.AtomicCheck[] = [];
    const absentRows: Deno.KvKey[] = [];
    for (const { rows } of drafts) {
      if (rows === undefined) continue;
      rowChecks.push(...rows.checks);
      absentRows.push(...rows.absent);
    }
    const refusal = this.#refusal(channelKeys.length + rowChecks.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    const storeRefusal = this.#storeRefusal?.();
    if (storeRefusal !== undefined && !isEssential({ drafts })) return Promise.reject(storeRefusal);
    const stored = storeDrafts(drafts);
    if (stored.keyBytes + channelKeysBytes(channelKeys) > ATOMIC_KEY_BYTES) {
      return Promise.reject(
        new Problem(
          "too_many_channels",
          "Cannot publish to so many channels at once: their names and ids are too long together.",
        ),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<readonly AppendedEvent[]>();
    let bytes = 0;
    for (const draft of drafts) bytes += draft.bytes + EVENT_OVERHEAD_BYTES;
    this.#pendingBytes += bytes;
    const pending: PendingAppend = {
      drafts,
      channelKeys,
      stored,
      rowChecks,
      absentRows,
      bytes,
      since: performance.now(),
      settled: false,
      resolve,
      reject,
    };
    this.#queue.push(pending);
    this.#tracer?.queued(pending, promise);
    this.#timeouts ??= setInterval(() => this.#timeOut(), TIMEOUT_TICK_MS);
    this.#commitNext();
    return promise;
  }

  /**
   * Does `work`, which may change the channel's head, while no append of this isolate changes it.
   * It precedes the appends that wait, so a busy channel cannot keep it from succeeding.
   */
  async exclusively<T>(channelKey: ChannelKey, work: () => Promise<T>): Promise<T> {
    await this.#takeChannel(channelKey);
    try {
      return await work();
    } finally {
      this.#heads.forget(channelKey);
      this.#releaseChannel(channelKey);
      this.#commitNext();
    }
  }

  /** Refuses new appends. Resolves once those under way are answered. */
  close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>();
    this.#resolveClose();
    return this.#closing.promise;
  }

  #refusal(checks: number): Problem | undefined {
    if (this.#closing !== undefined) {
      return new Problem("shutting_down", "This server is stopping; publish again in a moment.");
    }
    if (this.#queue.length >= MAX_PENDING || this.#pendingBytes >= MAX_PENDING_BYTES) {
      return new Problem("overloaded", "Too many events wait to be stored; publish again later.");
    }
    // One check is reserved for the marker of early chunks.
    const max = this.#traits.maxChecks - 1;
    return checks <= max ? undefined : new Problem(
      "too_many_channels",
      `Cannot publish to ${checks} channels at once: this store commits at most ${max} together.`,
    );
  }

  #resolveClose(): void {
    if (this.#closing === undefined || this.#queue.length > 0) return;
    if (![...this.#groups].every((group) => this.#isAbandoned(group))) return;
    clearInterval(this.#timeouts);
    this.#commit.hurry();
    this.#closing.resolve();
  }

  /** Returns whether the log closes and all callers of the group have their answer. */
  #isAbandoned(group: readonly PendingAppend[]): boolean {
    return this.#closing !== undefined && group.every(({ settled }) => settled);
  }

  #commitNext(): void {
    while (this.#inFlight < this.#traits.maxCommitsInFlight) {
      const { group, queue } = takeGroup(this.#queue, this.#busy, this.#traits.maxChecks);
      if (group.length === 0) break;
      this.#queue = queue;
      const channelKeys = channelKeysOf(group);
      for (const channelKey of channelKeys) this.#busy.add(channelKey);
      this.#groups.add(group);
      // Early chunks take many commits, so an append that has some does not keep others waiting.
      const counts = group.every(({ stored }) => stored.early === undefined);
      if (counts) this.#inFlight++;
      void this.#commit.run(group).finally(() => {
        if (counts) this.#inFlight--;
        for (const channelKey of channelKeys) this.#giveWay(channelKey);
        for (const { bytes } of group) this.#pendingBytes -= bytes;
        this.#groups.delete(group);
        this.#commitNext();
        this.#resolveClose();
      });
    }
  }

  /** Resolves once the channel is free, and takes it. */
  async #takeChannel(channelKey: ChannelKey): Promise<void> {
    if (this.#busy.has(channelKey)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiters.set(channelKey, [...this.#waiters.get(channelKey) ?? [], resolve]);
      await promise; // it passes the channel on, so the channel stays busy
    }
    this.#busy.add(channelKey);
  }

  /** Releases the channel when it is this isolate's turn to commit to it. */
  #giveWay(channelKey: ChannelKey): void {
    const isTurn = this.#closing === undefined ? this.#contention.giveWay(channelKey) : undefined;
    if (isTurn === undefined) return this.#releaseChannel(channelKey);
    void isTurn.then(() => {
      this.#releaseChannel(channelKey);
      this.#commitNext();
    });
  }

  /** Passes the channel on to the next work that waits for it, or frees it. */
  #releaseChannel(channelKey: ChannelKey): void {
    const [next, ...others] = this.#waiters.get(channelKey) ?? [];
    if (others.length > 0) this.#waiters.set(channelKey, others);
    else this.#waiters.delete(channelKey);
    if (next === undefined) this.#busy.delete(channelKey);
    else next();
  }

  /** Answers callers that have waited too long. Drops appends that are not in a commit yet. */
  #timeOut(): void {
    const oldest = performance.now() - STORE_TIMEOUT_MS;
    for (const group of this.#groups) {
      for (const pending of group) {
        if (pending.since <= oldest) settle(pending, commitUnknown());
      }
    }
    const unsent = this.#queue.filter((pending) => pending.since <= oldest);
    this.#queue = this.#queue.filter((pending) => pending.since > oldest);
    for (const pending of unsent) {
      this.#pendingBytes -= pending.bytes;
      settle(pending, new Problem("storage_unavailable", "The store did not answer in time."));
    }
    this.#resolveClose();
  }
}
