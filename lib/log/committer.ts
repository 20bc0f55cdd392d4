import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import type { StoreTraits } from "../kv/limits.ts";
import { isPassing, isTooLarge, storageProblem } from "../kv/storage_problem.ts";
import type { Address } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import {
  ATOMIC_DATA_BYTES,
  ATOMIC_KEY_BYTES,
  channelKeyBytes,
  claimEarly,
  type StoredDrafts,
  storeDrafts,
  writeEarly,
} from "./blobs.ts";
import { type ChannelPlan, planCommit, type Planned, type Seen } from "./commit_plan.ts";
import type { HeadCache } from "./head_cache.ts";
import type { Appended, Draft } from "./log.ts";
import { lastOf, narrowed, packBatches, type StoredBatch } from "./record_batch.ts";
import { Run } from "./run.ts";

/** Appends that wait for their commit. Past either a publish is refused: met, memory under a flood. */
const MAX_PENDING = 10_000;
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** How long a caller waits for a store that doesn't answer, in ms. */
const APPEND_TIMEOUT = 5_000;
const TIMEOUT_TICK = 250;

/** Commits lost to other isolates, one after the other, before an append is given up. */
const MAX_CONFLICTS = 50;
/** The same for a store that is away: about a minute, after which whoever waited has gone. */
const MAX_FAILURES = 60;

/** One append from its call to its answer. */
export interface Pending {
  readonly drafts: readonly Draft[];
  /** The channels of the drafts, without repeats. */
  readonly addresses: readonly Address[];
  stored: StoredDrafts;
  readonly bytes: number;
  readonly since: number;
  /** True once the caller has its answer, whatever becomes of the commit. */
  settled: boolean;
  readonly resolve: (appended: readonly Appended[]) => void;
  readonly reject: (problem: Problem) => void;
}

/** A commit that was sent; while its outcome is unknown it may still arrive. */
interface Attempt {
  readonly id: string;
  readonly planned: Planned;
}

export interface CommitterOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  readonly traits: StoreTraits;
  readonly heads: HeadCache;
  readonly now: () => number;
  /** From 0 to 1, as `Math.random`. */
  readonly random: () => number;
  /** Whether someone in this isolate wants the channel's runs. */
  readonly isListened: (address: Address) => boolean;
  readonly onCommitted: (run: Run) => void;
}

/**
 * Gathers appends and commits them in groups: what arrives while a commit is under way leaves
 * together in the next one. A channel is in one commit at a time, so its appends keep their order.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #isolate = crypto.randomUUID().slice(0, 8);
  #commits = 0;
  #queue: Pending[] = [];
  #pendingBytes = 0;
  readonly #busy = new Set<Address>();
  readonly #groups = new Set<readonly Pending[]>();
  /** Each ends a pause before its time. */
  readonly #pauses = new Set<() => void>();
  #timeouts: ReturnType<typeof setInterval> | undefined;
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  append(drafts: readonly Draft[]): Promise<readonly Appended[]> {
    const refusal = this.#refusal(drafts);
    if (refusal !== undefined) return Promise.reject(refusal);
    const stored = storeDrafts(drafts);
    if (stored.keyBytes + keyBytesOf(new Set(drafts.map((d) => d.address))) > ATOMIC_KEY_BYTES) {
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
      addresses: [...new Set(drafts.map((draft) => draft.address))],
      stored,
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

  #refusal(drafts: readonly Draft[]): Problem | undefined {
    if (this.#closing !== undefined) {
      return new Problem("shutting_down", "This server is stopping; publish again in a moment.");
    }
    if (this.#queue.length >= MAX_PENDING || this.#pendingBytes >= MAX_PENDING_BYTES) {
      return new Problem("overloaded", "Too many events wait to be stored; publish again later.");
    }
    const channels = new Set(drafts.map((draft) => draft.address)).size;
    // A check is kept free for the marker of chunks that were written first.
    const most = this.#options.traits.checks - 1;
    return channels <= most ? undefined : new Problem(
      "too_many_channels",
      `Cannot publish to ${channels} channels at once: this store commits at most ${most} together.`,
    );
  }

  #settleClose(): void {
    if (this.#closing === undefined || this.#queue.length > 0) return;
    if (![...this.#groups].every((group) => this.#isAbandoned(group))) return;
    clearInterval(this.#timeouts);
    for (const end of this.#pauses) end();
    this.#closing.resolve();
  }

  /** True where nobody waits for the group any more and nobody will look whether it arrives. */
  #isAbandoned(group: readonly Pending[]): boolean {
    return this.#closing !== undefined && group.every(({ settled }) => settled);
  }

  #pump(): void {
    while (this.#groups.size < this.#options.traits.commitsInFlight) {
      const group = this.#take();
      if (group.length === 0) break;
      const addresses = addressesOf(group);
      for (const address of addresses) this.#busy.add(address);
      this.#groups.add(group);
      void this.#run(group).finally(() => {
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
          channels.size + added.length <= this.#options.traits.checks);
      if (isFree && !fits) break;
      if (isFree) {
        group.push(pending);
        size += pending.stored.size;
        keyBytes += addedKeys;
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

  /** Commits `group`, and answers each append of it. Never throws. */
  async #run(group: readonly Pending[]): Promise<void> {
    try {
      await this.#commit(group, []);
    } catch (cause) {
      const problem = storageProblem(cause);
      for (const pending of group) settle(pending, problem);
    }
  }

  /** @param unknown earlier attempts at the same group that may still arrive. */
  async #commit(group: readonly Pending[], unknown: Attempt[], conflicts = 0): Promise<void> {
    const { heads, kv, now } = this.#options;
    let isNarrowed = false;
    for (let failures = 0; !this.#isAbandoned(group);) {
      let attempt: Attempt | undefined;
      try {
        for (const { stored } of group) {
          if (stored.early !== undefined) await writeEarly(kv, stored.early, now());
        }
        await heads.load(addressesOf(group));
        const planned = await planCommit(kv, heads, group, now());
        attempt = { id: `${this.#isolate}${this.#commits++}`, planned };
        const versionstamp = await this.#send(attempt);
        if (versionstamp !== undefined) return this.#done(attempt, versionstamp);
        unknown.push(attempt);
        conflicts++;
      } catch (cause) {
        if (isTooLarge(cause) && !isNarrowed) {
          isNarrowed = true;
          for (const pending of group) pending.stored = narrowedDrafts(pending.stored);
          continue;
        }
        const problem = storageProblem(cause);
        if (!isPassing(problem) || ++failures >= MAX_FAILURES) throw problem;
        if (attempt !== undefined) unknown.push(attempt);
        await this.#pause(2 ** Math.min(failures, 10));
      }
      try {
        const arrived = await this.#findArrived(unknown);
        if (arrived !== undefined) return this.#done(arrived, undefined);
        const contended = await this.#reload(group);
        if (conflicts >= MAX_CONFLICTS) {
          throw new Problem("contended", "Too many writers at one channel; publish again.");
        }
        // Only what was refused outright can be parted: the rest may yet arrive as a whole.
        if (failures === 0) {
          unknown.length = 0;
          const calm = apartFrom(contended, group);
          if (calm.length > 0 && calm.length < group.length) {
            const moved = group.filter((pending) => !calm.includes(pending));
            const later = this.#pause(2 ** Math.min(conflicts, 6))
              .then(() => this.#commit(moved, [], conflicts));
            await settleAll([this.#commit(calm, []), calm], [later, moved]);
            return;
          }
        }
        await this.#pause(2 ** Math.min(conflicts, 6));
      } catch (cause) {
        const problem = storageProblem(cause);
        if (!isPassing(problem) || ++failures >= MAX_FAILURES) throw problem;
        await this.#pause(2 ** Math.min(failures, 10));
      }
    }
  }

  /** The versionstamp of the commit; none where another isolate was first. */
  async #send({ id, planned }: Attempt): Promise<string | undefined> {
    const { kv, doorbell } = this.#options;
    const atomic = kv.atomic();
    for (const plan of planned.channels) {
      // Also where there are only repeats: that they are still kept is what the head says.
      atomic.check({ key: keys.head(plan.address), versionstamp: plan.before.versionstamp });
      if (plan.events.length === 0) continue;
      atomic.set(keys.head(plan.address), plan.head);
      for (const batch of packBatches(id, plan.startBytes, plan.events)) {
        atomic.set(keys.batch(plan.address, plan.head.epoch, lastOf(batch)), batch);
      }
      for (const { event } of plan.events) {
        if (event.id === undefined) continue;
        atomic.set(
          keys.seen(plan.address, event.id),
          [plan.head.epoch, event.sequence] satisfies Seen,
        );
      }
    }
    for (const { chunks, early } of planned.stored) {
      for (const { blob, key, value } of chunks) {
        if (!planned.unused.has(blob)) atomic.set(key, value);
      }
      if (early !== undefined) claimEarly(atomic, early, planned.unused);
    }
    const moved = movedBy(planned);
    if (moved.length > 0) doorbell.prepare(atomic, moved.map(({ address }) => address));
    const result = await atomic.commit();
    return result.ok ? result.versionstamp : undefined;
  }

  #done({ planned }: Attempt, versionstamp: string | undefined): void {
    const { heads, isListened, onCommitted, doorbell } = this.#options;
    const moved = movedBy(planned);
    for (const { address, head } of moved) {
      if (versionstamp === undefined) heads.forget(address);
      else heads.set(address, { head, versionstamp });
    }
    for (const [pending, answer] of planned.answers) settle(pending, answer);
    for (const plan of moved) if (isListened(plan.address)) onCommitted(runOf(plan));
    if (moved.length > 0) doorbell.committed(moved.map(({ address }) => address), versionstamp);
  }

  /** The one of `attempts` that is in the log after all, by the commit id in its record batch. */
  async #findArrived(attempts: readonly Attempt[]): Promise<Attempt | undefined> {
    for (const attempt of attempts) {
      const plan = attempt.planned.channels.find(({ events }) => events.length > 0);
      const first = plan?.events[0]?.event.sequence;
      if (plan === undefined || first === undefined) continue;
      const batches = this.#options.kv.list<StoredBatch>({
        start: keys.batch(plan.address, plan.head.epoch, first),
        end: keys.batch(plan.address, plan.head.epoch, Number.MAX_SAFE_INTEGER),
      }, { limit: 1 });
      for await (const { value } of batches) if (value.commit === attempt.id) return attempt;
    }
    return undefined;
  }

  /** Reads the group's heads anew; the channels that moved meanwhile. */
  async #reload(group: readonly Pending[]): Promise<ReadonlySet<Address>> {
    const { heads } = this.#options;
    const addresses = [...addressesOf(group)];
    const before = addresses.map((address) => heads.peek(address)?.versionstamp);
    await heads.reload(addresses);
    return new Set(addresses.filter((a, i) => heads.peek(a)?.versionstamp !== before[i]));
  }

  /** Up to `milliseconds`, at random: full jitter, so that isolates don't meet again. */
  #pause(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => {
      clearTimeout(timer);
      this.#pauses.delete(end);
      resolve();
    };
    const timer = setTimeout(end, this.#options.random() * milliseconds);
    this.#pauses.add(end);
    return promise;
  }

  /** Answers those who have waited too long; what was not sent yet is dropped for good. */
  #dropLate(): void {
    const late = performance.now() - APPEND_TIMEOUT;
    for (const group of this.#groups) {
      for (const pending of group) {
        if (pending.since > late || pending.settled) continue;
        settle(
          pending,
          new Problem(
            "commit_unknown",
            "The store did not answer in time: the event may be stored or not. Publish it again with the same Idempotency-Key to be sure of one.",
          ),
        );
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

/**
 * The appends of `group` that share no channel with one that is contended, nor with another append
 * which does: those of one channel keep their order.
 */
function apartFrom(
  contended: ReadonlySet<Address>,
  group: readonly Pending[],
): readonly Pending[] {
  const blocked = new Set(contended);
  const isApart = ({ drafts }: Pending) => drafts.every(({ address }) => !blocked.has(address));
  for (let before = -1; before !== blocked.size;) {
    before = blocked.size;
    for (const address of addressesOf(group.filter((p) => !isApart(p)))) blocked.add(address);
  }
  return group.filter(isApart);
}

function keyBytesOf(channels: Iterable<Address>): number {
  let bytes = 0;
  for (const address of channels) bytes += channelKeyBytes(address);
  return bytes;
}

function narrowedDrafts(drafts: StoredDrafts): StoredDrafts {
  return { ...drafts, stored: drafts.stored.map(narrowed) };
}

function addressesOf(group: readonly Pending[]): ReadonlySet<Address> {
  const addresses = new Set<Address>();
  for (const pending of group) for (const address of pending.addresses) addresses.add(address);
  return addresses;
}

function movedBy({ channels }: Planned): readonly ChannelPlan[] {
  return channels.filter(({ events }) => events.length > 0);
}

function settle(pending: Pending, answer: readonly Appended[] | Problem): void {
  if (pending.settled) return;
  pending.settled = true;
  if (answer instanceof Problem) pending.reject(answer);
  else pending.resolve(answer);
}

/** Waits for all; the failure of one part is the answer of that part alone. */
async function settleAll(
  ...parts: readonly (readonly [Promise<void>, readonly Pending[]])[]
): Promise<void> {
  await Promise.all(parts.map(([work, group]) =>
    work.catch((cause) => {
      const problem = storageProblem(cause);
      for (const pending of group) settle(pending, problem);
    })
  ));
}

function runOf({ address, head, events }: ChannelPlan): Run {
  return new Run(address, head.epoch, head.last - events.length, events.map(({ event }) => event));
}
