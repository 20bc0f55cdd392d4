import { retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import { type Log, StaleRowsError } from "../log/log.ts";
import { type Channel, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { Offset } from "../shared/offset.ts";
import { BatchedReads } from "./batched_reads.ts";
import type { Member, MemberName } from "./member.ts";
import {
  isolateMemberKey,
  type MemberChange,
  memberChangeDraft,
  type MemberEntry,
  type StoredMember,
} from "./member_change.ts";
import { MemberCounts } from "./member_counts.ts";

interface MemberRowsOptions {
  readonly kv: Deno.Kv;
  readonly log: Pick<Log, "append">;
  /** Returns milliseconds since 1970. */
  readonly now: () => number;
  /** Returns a number from 0 to 1. */
  readonly random: () => number;
}

/**
 * Keeps a row in the store for each member. A change that others see is made in the commit of its
 * event, so the rows and the presence channel's log always agree. Within one isolate, calls for the
 * same member must not overlap.
 */
export class MemberRows {
  readonly #options: MemberRowsOptions;
  readonly #reads: BatchedReads;
  readonly #counts: MemberCounts;

  constructor(options: MemberRowsOptions) {
    this.#options = options;
    this.#reads = new BatchedReads(options.kv);
    this.#counts = new MemberCounts(this.#reads);
  }

  /**
   * Adds `isolate` to the member's row. This is an `enter` event if the member has no row yet, and
   * an `update` if its data changes.
   *
   * @param data undefined keeps the data of the row.
   * @param initialData the data of a new row if `data` is undefined.
   * @throws {Problem} `presence_full`, `contended`, `commit_unknown`, `overloaded`, `storage_*`
   */
  join(
    member: Member,
    isolate: string,
    data: string | undefined,
    initialData: string,
  ): Promise<Pick<StoredMember, "data" | "offset">> {
    return this.#retryStale(async () => {
      using admission = this.#counts.open(member.channelKey);
      const entry = await this.#read(member);
      const { value: row } = entry;
      if (row === null) {
        const created = {
          data: data ?? initialData,
          since: this.#options.now(),
          isolates: [isolate],
        };
        const offset = await admission.admit(
          () => this.#append({ type: "enter", member, entry, row: created, isolate }),
        );
        return { data: created.data, offset };
      }
      const hasIsolate = row.isolates.includes(isolate);
      const isolates = hasIsolate ? row.isolates : [...row.isolates, isolate];
      if (data !== undefined && data !== row.data) {
        const changed = { ...row, data, isolates };
        const offset = await this.#append({ type: "update", member, entry, row: changed, isolate });
        return { data, offset };
      }
      if (!hasIsolate) {
        await this.#replace(entry, { ...row, isolates }, (atomic) => {
          atomic.set(isolateMemberKey(member, isolate), 0);
        });
      }
      return row;
    });
  }

  /**
   * Removes `isolate` from the member's row. The last isolate deletes the row with a `leave` event.
   *
   * @throws {Problem} `contended`, `commit_unknown`, `overloaded`, `storage_*`
   */
  leave(member: Member, isolate: string): Promise<void> {
    return this.#retryStale(async () => {
      const entry = await this.#read(member);
      const { value: row } = entry;
      const indexKey = isolateMemberKey(member, isolate);
      if (row === null || !row.isolates.includes(isolate)) {
        return await withStoreTimeout(retryLocked(() => this.#options.kv.delete(indexKey)));
      }
      const isolates = row.isolates.filter((other) => other !== isolate);
      const remaining = { ...row, isolates };
      if (isolates.length === 0) {
        await this.#append({ type: "leave", member, entry, row: remaining, isolate });
      } else {
        await this.#replace(entry, remaining, (atomic) => {
          atomic.delete(indexKey);
        });
      }
    });
  }

  /** Returns the isolates that have the member. @throws {Problem} `storage_*` */
  async isolatesOf(member: Member): Promise<readonly string[]> {
    return (await this.#read(member)).value?.isolates ?? [];
  }

  /** Returns the members that `isolate` has. @throws what the store does */
  async membersOf(isolate: string): Promise<readonly Member[]> {
    const members: Member[] = [];
    const prefix = keys.isolateMembers(isolate);
    for await (const { key } of this.#options.kv.list({ prefix }, { batchSize: 500 })) {
      const [, , tenant, channel, name] = key;
      const channelKey = channelKeyOf(tenant as Tenant, channel as Channel);
      members.push({ channelKey, name: name as MemberName });
    }
    return members;
  }

  #read({ channelKey, name }: Member): Promise<MemberEntry> {
    return this.#reads.get<StoredMember>(keys.member(channelKey, name));
  }

  /** Repeats `work`, which reads a row, if another isolate changed that row in the meantime. */
  #retryStale<T>(work: () => Promise<T>): Promise<T> {
    const contended = "Too many concurrent changes of this member; try again.";
    return retryConflicts(work, contended, this.#options.random);
  }

  /** Changes a row without an event. @throws {StaleRowsError} */
  async #replace(
    entry: MemberEntry,
    row: StoredMember,
    changeIndex: (atomic: Deno.AtomicOperation) => void,
  ): Promise<void> {
    const atomic = this.#options.kv.atomic().check(entry).set(entry.key, row);
    changeIndex(atomic);
    const { ok } = await withStoreTimeout(retryLocked(() => atomic.commit()));
    if (!ok) throw new StaleRowsError();
  }

  /** Appends the event of a change and returns its offset. @throws {StaleRowsError} */
  async #append(change: MemberChange): Promise<Offset> {
    const [appended] = await this.#options.log.append([memberChangeDraft(change)]);
    if (appended === undefined) throw new Error("the log returned no result for the draft");
    return appended.offset;
  }
}
