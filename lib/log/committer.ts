import type { StoreTraits } from "../kv/limits.ts";
import type { Address } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { ATOMIC_DATA_BYTES, ATOMIC_KEY_BYTES, channelKeyBytes, storeDrafts } from "./blobs.ts";
import { GroupCommit, type GroupCommitOptions } from "./group_commit.ts";
import type { Appended, Draft } from "./log.ts";
import { addressesOf, commitUnknown, type Pending, settle } from "./pending.ts";

/** Appends that wait for their commit. Past either a publish is refused: met, memory under a flood. */
const MAX_PENDING = 10_000;
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** How long a caller waits for a store that doesn't answer, in ms. */
const APPEND_TIMEOUT = 5_000;
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
  #queue: Pending[] = [];
  #pendingBytes = 0;
  readonly #busy = new Set<Address>();
  readonly #groups = new Set<readonly Pending[]>();
  #timeouts: ReturnType<typeof setInterval> | undefined;
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(options: CommitterOptions) {
    this.#traits = options.traits;
    this.#commit = new GroupCommit({
      ...options,
      isAbandoned: (group) => this.#isAbandoned(group),
    });
  }

  append(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    const addresses = [...new Set(drafts.map((draft) => draft.address))];
    const rowChecks: Deno.AtomicCheck[] = [];
    const absentRows: Deno.KvKey[] = [];
    for (const { rows } of drafts) {
      if (rows === undefined) continue;
      rowChecks.push(...rows.checks);
      absentRows.push(...rows.absent);
    }
    const refusal = this.#refusal(addresses.length + rowChecks.length);
    if (refusal !== undefined) return Promise.reject(refusal);
    const stored = storeDrafts(drafts);
    if (stored.keyBytes + keyBytesOf(addresses) > ATOMIC_KEY_BYTES) {
      return Promise.reject(
        new Problem(
          "too_many_channels",
          "Cannot publish to so many channels at once: their names and ids are too long together.",
        ),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<readonly Appended[]>();
    let bytes = 0;
    for (const draft of drafts) bytes += draft.bytes + 512;
    this.#pendingBytes += bytes;
    this.#queue.push({
      drafts,
      addresses,
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
    const most = this.#traits.checks - 1;
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
  #isAbandoned(group: readonly Pending[]): boolean {
    return this.#closing !== undefined && group.every(({ settled }) => settled);
  }

  #pump(): void {
    while (this.#groups.size < this.#traits.commitsInFlight) {
      const group = this.#take();
      if (group.length === 0) break;
      const addresses = addressesOf(group);
      for (const address of addresses) this.#busy.add(address);
      this.#groups.add(group);
      void this.#commit.run(group).finally(() => {
        for (const address of addresses) this.#busy.delete(address);
        for (const { bytes } of group) this.#pendingBytes -= bytes;
        this.#groups.delete(group);
        this.#pump();
        this.#settleClose();
      });
    }
  }

  /** The next appends that fit into one commit, in order; a channel under way stays behind. */
  #take(): readonly Pending[] {
    const group: Pending[] = [];
    const rest: Pending[] = [];
    const channels = new Set<Address>();
    const blocked = new Set<Address>();
    let size = 0;
    let keyBytes = 0;
    let rowChecks = 0;
    let at = 0;
    for (; at < this.#queue.length; at++) {
      const pending = this.#queue[at] as Pending; // at < length
      const { addresses } = pending;
      const isFree = addresses.every((a) => !this.#busy.has(a) && !blocked.has(a));
      const added = addresses.filter((a) => !channels.has(a));
      const addedKeys = pending.stored.keyBytes + keyBytesOf(added);
      const isAlone = pending.stored.early !== undefined;
      const fits = group.length === 0 ||
        (!isAlone && size + pending.stored.size <= ATOMIC_DATA_BYTES &&
          keyBytes + addedKeys <= ATOMIC_KEY_BYTES &&
          channels.size + added.length + rowChecks + pending.rowChecks.length <=
            this.#traits.checks);
      if (isFree && !fits) break;
      if (isFree) {
        group.push(pending);
        size += pending.stored.size;
        keyBytes += addedKeys;
        rowChecks += pending.rowChecks.length;
        for (const address of added) channels.add(address);
        if (isAlone) {
          at++;
          break;
        }
      } else {
        rest.push(pending);
        for (const address of addresses) blocked.add(address);
      }
    }
    if (group.length > 0) this.#queue = rest.concat(this.#queue.slice(at));
    return group;
  }

  /** Answers those who have waited too long; what was not sent yet is dropped for good. */
  #dropLate(): void {
    const late = performance.now() - APPEND_TIMEOUT;
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

function keyBytesOf(channels: Iterable<Address>): number {
  let bytes = 0;
  for (const address of channels) bytes += channelKeyBytes(address);
  return bytes;
}
