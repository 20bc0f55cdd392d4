import { keys } from "../kv/keys.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import type { BatchedReads } from "./batched_reads.ts";

/** Members of a channel. Met: snapshots that take seconds, of a channel that everyone enters. */
export const MAX_MEMBERS = 1_000;

/** Entries of this isolate into one channel. */
interface Entries {
  begun: number;
  ended: number;
  readonly underWay: Set<Promise<unknown>>;
  /** Admissions that look at this. */
  users: number;
}

/**
 * Keeps a channel from having too many members. The commits that add and remove them keep the sum;
 * isolates that add members at the same moment may overshoot by what is under way in the others.
 */
export class MemberCounts {
  readonly #reads: BatchedReads;
  readonly #entries = new Map<ChannelKey, Entries>();

  constructor(reads: BatchedReads) {
    this.#reads = reads;
  }

  /** For one who may turn out to be a new member: the sum is read along with what tells that. */
  open(channelKey: ChannelKey): Admission {
    const entries = this.#entries.get(channelKey) ??
      { begun: 0, ended: 0, underWay: new Set(), users: 0 };
    this.#entries.set(channelKey, entries);
    entries.users++;
    return new Admission(entries, () => this.#read(channelKey), () => {
      if (--entries.users === 0) this.#entries.delete(channelKey);
    });
  }

  async #read(channelKey: ChannelKey): Promise<number> {
    const { value } = await this.#reads.get<Deno.KvU64>(keys.memberCount(channelKey));
    return Number(BigInt.asIntN(64, value?.value ?? 0n));
  }
}

/** How full a channel was. */
interface Look {
  readonly count: number;
  /** Entries that had ended before. */
  readonly ended: number;
}

/** The way of one call into a channel, as long as it is not disposed. */
export class Admission implements Disposable {
  readonly #entries: Entries;
  readonly #read: () => Promise<number>;
  readonly #close: () => void;
  readonly #first: Promise<Look>;

  constructor(entries: Entries, read: () => Promise<number>, close: () => void) {
    this.#entries = entries;
    this.#read = read;
    this.#close = close;
    this.#first = this.#look();
    this.#first.catch(() => {}); // said to who is let in, if anyone
  }

  /**
   * Does `enter`, which adds a member, if there is room for one.
   *
   * @throws {Problem} `presence_full`, `storage_*`; what `enter` throws
   */
  async admit<T>(enter: () => Promise<T>): Promise<T> {
    const entries = this.#entries;
    await this.#takeRoom();
    const work = enter();
    entries.underWay.add(work);
    try {
      return await work;
    } finally {
      entries.underWay.delete(work);
      entries.ended++;
    }
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  /** Once there is room, which is taken in the same tick: nobody else is to see it free. */
  async #takeRoom(): Promise<void> {
    const entries = this.#entries;
    for (let look = this.#first;; look = this.#look()) {
      const { count, ended } = await look;
      // Those that hadn't ended when the sum was read may be in it or not.
      const open = entries.begun - ended;
      if (count + open < MAX_MEMBERS) {
        entries.begun++;
        return;
      }
      if (open === 0) {
        throw new Problem(
          "presence_full",
          `This channel has ${MAX_MEMBERS} members, and takes no more.`,
        );
      }
      await Promise.allSettled(entries.underWay);
    }
  }

  async #look(): Promise<Look> {
    const { ended } = this.#entries;
    return { count: await this.#read(), ended };
  }
}

/** Adds to `atomic` that the channel has one member more, or less. */
export function sumMembers(
  atomic: Deno.AtomicOperation,
  channelKey: ChannelKey,
  change: 1 | -1,
): void {
  // The store's sum wraps, so two's complement takes away.
  atomic.sum(keys.memberCount(channelKey), BigInt.asUintN(64, BigInt(change)));
}
