import { STORE_TIMEOUT_MS, type StoreTraits } from "../kv/limits.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { ATOMIC_DATA_BYTES, ATOMIC_KEY_BYTES, channelKeyBytes, storeDrafts } from "./blobs.ts";
import { GroupCommit, type GroupCommitOptions } from "./group_commit.ts";
import type { AppendedEvent, Draft } from "./log.ts";
import { channelKeysOf, commitUnknown, type PendingAppend, settle } from "./pending_append.ts";

/** Appends that wait for their commit. Past either a publish is refused: met, memory under a flood. */
const MAX_PENDING = 10_000;
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

const TIMEOUT_TICK = 250;

export interface CommitterOptions extends Omit<GroupCommitOptions, "isAbandoned"> {
  readonly traits: StoreTraits;
}

/**
 * Gathers appends and commits them in groups: what arrives while a commit is under way leaves
 * together in the next one. A channel is in one commit at a time, so its appends keep their order.
 */
export class Committer {
  readonly #traits: StoreTraits;
  readonly #commit: GroupCommit;
  #queue: PendingAppend[] = [];
  #pendingBytes = 0;
  readonly #busy = new Set<ChannelKey>();
  readonly #groups = new Set<readonly PendingAppend[]>();
  #timeouts: ReturnType<typeof setInterval> | undefined;
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(options: CommitterOptions) {
    this.#traits = options.traits;
    this.#commit = new GroupCommit({
      ...options,
      isAbandoned: (group) => this.#isAbandoned(group),
    });
  }

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
    const stored = storeDrafts(drafts);
    if (stored.keyBytes + keyBytesOf(channelKeys) > ATOMIC_KEY_BYTES) {
      return Promise.reject(
        new Problem(
          "too_many_channels",
          "Cannot publish to so many channels at once: their names and ids are too long together.",
        ),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<readonly AppendedEvent[]>();
    let bytes = 0;
    for (const draft of drafts) bytes += draft.bytes + 512;
    this.#pendingBytes += bytes;
    this.#queue.push({
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
    });
    this.#timeouts ??= setInterval(() => this.#dropLate(), TIMEOUT_TICK);
    this.#pump();
    return promise;
  }

  /** Refuses new appends and waits until those under way are answered. */
  close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>();
    this.#settleClose();
    return this.#closing.promise;
  }

  #refusal(channels: number): Problem | undefined {
    if (this.#closing !== undefined) {
      return new Problem("shutting_down", "This server is stopping; publish again in a moment.");
    }
    if (this.#queue.length >= MAX_PENDING || this.#pendingBytes >= MAX_PENDING_BYTES) {
      return new Problem("overloaded", "Too many events wait to be stored; publish again later.");
    }
    // A check is kept free for the marker of chunks that were written first.
    const most = this.#traits.maxChecks - 1;
    return channels <= most ? undefined : new Problem(
      "too_many_channels",
      `Cannot publish to ${channels} channels at once: this store commits at most ${most} together.`,
    );
  }

  #settleClose(): void {
    if (this.#closing === undefined || this.#queue.length > 0) return;
    if (![...this.#groups].every((group) => this.#isAbandoned(group))) return;
    clearInterval(this.#timeouts);
    this.#commit.hurry();
    this.#closing.resolve();
  }

  /** True where nobody waits for the group any more and nobody will look whether it arrives. */
  #isAbandoned(group: readonly PendingAppend[]): boolean {
    return this.#closing !== undefined && group.every(({ settled }) => settled);
  }

  #pump(): void {
    while (this.#groups.size < this.#traits.maxCommitsInFlight) {
      const group = this.#take();
      if (group.length === 0) break;
      const channelKeys = channelKeysOf(group);
      for (const channelKey of channelKeys) this.#busy.add(channelKey);
      this.#groups.add(group);
      void this.#commit.run(group).finally(() => {
        for (const channelKey of channelKeys) this.#busy.delete(channelKey);
        for (const { bytes } of group) this.#pendingBytes -= bytes;
        this.#groups.delete(group);
        this.#pump();
        this.#settleClose();
      });
    }
  }

  /** The next appends that fit into one commit, in order; a channel under way stays behind. */
  #take(): readonly PendingAppend[] {
    const group: PendingAppend[] = [];
    const rest: PendingAppend[] = [];
    const channels = new Set<ChannelKey>();
    const blocked = new Set<ChannelKey>();
    let size = 0;
    let keyBytes = 0;
    let rowChecks = 0;
    let at = 0;
    for (; at < this.#queue.length; at++) {
      const pending = this.#queue[at] as PendingAppend; // at < length
      const { channelKeys } = pending;
      const isFree = channelKeys.every((a) => !this.#busy.has(a) && !blocked.has(a));
      const added = channelKeys.filter((a) => !channels.has(a));
      const addedKeys = pending.stored.keyBytes + keyBytesOf(added);
      const isAlone = pending.stored.early !== undefined;
      const fits = group.length === 0 ||
        (!isAlone && size + pending.stored.size <= ATOMIC_DATA_BYTES &&
          keyBytes + addedKeys <= ATOMIC_KEY_BYTES &&
          channels.size + added.length + rowChecks + pending.rowChecks.length <=
            this.#traits.maxChecks);
      if (isFree && !fits) break;
      if (isFree) {
        group.push(pending);
        size += pending.stored.size;
        keyBytes += addedKeys;
        rowChecks += pending.rowChecks.length;
        for (const channelKey of added) channels.add(channelKey);
        if (isAlone) {
          at++;
          break;
        }
      } else {
        rest.push(pending);
        for (const channelKey of channelKeys) blocked.add(channelKey);
      }
    }
    if (group.length > 0) this.#queue = rest.concat(this.#queue.slice(at));
    return group;
  }

  /** Answers those who have waited too long; what was not sent yet is dropped for good. */
  #dropLate(): void {
    const late = performance.now() - STORE_TIMEOUT_MS;
    for (const group of this.#groups) {
      for (const pending of group) {
        if (pending.since > late || pending.settled) continue;
        settle(pending, commitUnknown());
      }
    }
    const unsent = this.#queue.filter((pending) => pending.since <= late);
    this.#queue = this.#queue.filter((pending) => pending.since > late);
    for (const pending of unsent) {
      this.#pendingBytes -= pending.bytes;
      settle(pending, new Problem("storage_unavailable", "The store did not answer in time."));
    }
    this.#settleClose();
  }
}

function keyBytesOf(channels: Iterable<ChannelKey>): number {
  let bytes = 0;
  for (const channelKey of channels) bytes += channelKeyBytes(channelKey);
  return bytes;
}
