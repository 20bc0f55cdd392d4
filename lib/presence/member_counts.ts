import { keys } from "../kv/keys.ts";
import { withinTime } from "../kv/storage_problem.ts";
import type { Address } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";

/** Members of a channel. Met: snapshots that take seconds, of a channel that everyone enters. */
export const MAX_MEMBERS = 1_000;
const READ_TIMEOUT = 5_000;

/** Entries of this isolate into one channel. */
interface Entries {
  begun: number;
  ended: number;
  readonly underWay: Set<Promise<unknown>>;
  /** Calls that look at this. */
  users: number;
}

/**
 * Keeps a channel from having too many members. The commits that add and remove them keep the sum;
 * isolates that add members at the same moment may overshoot by what is under way in the others.
 */
export class MemberCounts {
  readonly #kv: Deno.Kv;
  readonly #entries = new Map<Address, Entries>();

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /**
   * Does `enter`, which adds a member, if there is room for one.
   *
   * @throws {Problem} `presence_full`
   */
  async admit<T>(address: Address, enter: () => Promise<T>): Promise<T> {
    const entries = this.#entries.get(address) ??
      { begun: 0, ended: 0, underWay: new Set(), users: 0 };
    this.#entries.set(address, entries);
    entries.users++;
    try {
      await this.#takeRoom(address, entries);
      const work = enter();
      entries.underWay.add(work);
      try {
        return await work;
      } finally {
        entries.underWay.delete(work);
        entries.ended++;
      }
    } finally {
      if (--entries.users === 0) this.#entries.delete(address);
    }
  }

  /** Once there is room, which is taken in the same tick: nobody else is to see it free. */
  async #takeRoom(address: Address, entries: Entries): Promise<void> {
    while (true) {
      const { ended } = entries;
      const count = await this.#read(address);
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

  async #read(address: Address): Promise<number> {
    const read = this.#kv.get<Deno.KvU64>(keys.memberCount(address));
    const { value } = await withinTime(read, READ_TIMEOUT);
    return Number(BigInt.asIntN(64, value?.value ?? 0n));
  }
}

/** Adds to `atomic` that the channel has one member more, or less. */
export function sumMembers(atomic: Deno.AtomicOperation, address: Address, change: 1 | -1): void {
  // The store's sum wraps, so two's complement takes away.
  atomic.sum(keys.memberCount(address), BigInt.asUintN(64, BigInt(change)));
}
