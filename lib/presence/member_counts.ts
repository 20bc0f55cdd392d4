import { keys } from "../kv/keys.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import type { BatchedReads } from "./batched_reads.ts";

/** Members of one channel. Guards against channels whose snapshots take seconds to read. */
export const MAX_MEMBERS = 1_000;

/** The joins of this isolate that add a member to one channel. */
interface ChannelJoins {
  started: number;
  ended: number;
  readonly pending: Set<Promise<unknown>>;
  /** Resolves when those that were pending have ended. Shared by all that wait for room. */
  settled: Promise<void> | undefined;
  /** How many admissions refer to this. */
  users: number;
}

/**
 * Limits the members of a channel. The commits that add and remove members also keep their count.
 * Isolates that add members at the same moment may exceed the limit by the joins that are pending
 * in the other isolates.
 */
export class MemberCounts {
  readonly #reads: BatchedReads;
  readonly #joins = new Map<ChannelKey, ChannelJoins>();

  constructor(reads: BatchedReads) {
    this.#reads = reads;
  }

  /**
   * Returns an admission for a join that may add a member. It starts to read the count at once, so
   * that this shares a round trip with the read of the member's row.
   */
  open(channelKey: ChannelKey): Admission {
    const joins = this.#joins.get(channelKey) ??
      { started: 0, ended: 0, pending: new Set(), settled: undefined, users: 0 };
    this.#joins.set(channelKey, joins);
    joins.users++;
    return new Admission(joins, () => this.#read(channelKey), () => {
      if (--joins.users === 0) this.#joins.delete(channelKey);
    });
  }

  async #read(channelKey: ChannelKey): Promise<number> {
    const { value } = await this.#reads.get<Deno.KvU64>(keys.memberCount(channelKey));
    return Number(BigInt.asIntN(64, value?.value ?? 0n));
  }
}

/** A channel's member count as it was read. */
interface CountReading {
  readonly count: number;
  /** How many joins had ended before the read. */
  readonly ended: number;
}

/** Decides whether one join may add a member to a channel. */
class Admission implements Disposable {
  readonly #joins: ChannelJoins;
  readonly #read: () => Promise<number>;
  readonly #close: () => void;
  readonly #firstReading: Promise<CountReading>;

  constructor(joins: ChannelJoins, read: () => Promise<number>, close: () => void) {
    this.#joins = joins;
    this.#read = read;
    this.#close = close;
    this.#firstReading = this.#readCount();
    this.#firstReading.catch(() => {}); // admit() throws it, if it is called
  }

  /**
   * Runs `join`, which adds a member, if the channel has room for one.
   *
   * @throws {Problem} `presence_full`, `storage_*`; what `join` throws
   */
  async admit<T>(join: () => Promise<T>): Promise<T> {
    const joins = this.#joins;
    await this.#takeRoom();
    const work = join();
    joins.pending.add(work);
    try {
      return await work;
    } finally {
      joins.pending.delete(work);
      joins.ended++;
    }
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  /** Checks for room and takes it in the same tick, so that no other join can take it too. */
  async #takeRoom(): Promise<void> {
    const joins = this.#joins;
    for (let reading = this.#firstReading;; reading = this.#readCount()) {
      const { count, ended } = await reading;
      // The count may or may not include joins that had not ended when it was read.
      const uncertain = joins.started - ended;
      if (count + uncertain < MAX_MEMBERS) {
        joins.started++;
        return;
      }
      if (uncertain === 0) {
        throw new Problem(
          "presence_full",
          `This channel already has ${MAX_MEMBERS} members, which is the maximum.`,
        );
      }
      await settled(joins);
    }
  }

  async #readCount(): Promise<CountReading> {
    const { ended } = this.#joins;
    return { count: await this.#read(), ended };
  }
}

/**
 * Resolves once the joins that were pending at the first of the calls at the same time have ended. One
 * promise for all: each waiting on its own for all others would be quadratic in the joins.
 */
function settled(joins: ChannelJoins): Promise<void> {
  return joins.settled ??= Promise.allSettled(joins.pending).then(() => {
    joins.settled = undefined;
  });
}

/** Adds `change` to the channel's member count in the commit of `atomic`. */
export function addToMemberCount(
  atomic: Deno.AtomicOperation,
  channelKey: ChannelKey,
  change: 1 | -1,
): void {
  // The store's sum wraps, so adding the two's complement subtracts.
  atomic.sum(keys.memberCount(channelKey), BigInt.asUintN(64, BigInt(change)));
}
