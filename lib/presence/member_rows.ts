import { keys } from "../kv/keys.ts";
import { retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import { type Draft, type Log, StaleRowsError } from "../log/log.ts";
import {
  type ChannelKey,
  channelKeyOf,
  channelOf,
  presenceChannel,
  tenantOf,
} from "../shared/channel.ts";
import { type Cursor, formatCursor } from "../shared/cursor.ts";
import { formatTime, JSON_TYPE } from "../shared/event.ts";
import { type Offset, ORIGIN } from "../shared/offset.ts";
import { BatchedReads } from "./batched_reads.ts";
import type { Member, MemberName } from "./member.ts";
import { MemberCounts, sumMembers } from "./member_counts.ts";

/** What an isolate's id takes in a row, in bytes, and what a row has beside them and its data. */
const ISOLATE_BYTES = 64;
const ROW_BYTES = 256;

/** The value of a member's row. */
export interface StoredMember {
  /** JSON. */
  readonly data: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Of the event that made the member what it is. */
  readonly offset: Offset;
  /** The isolates that have sessions of it, or had them when their lease ended. */
  readonly isolates: readonly string[];
}

/** A member as it was when the snapshot was made. */
export interface PresentMember extends StoredMember {
  readonly name: MemberName;
}

export interface Snapshot {
  /** In the order of `since`. */
  readonly members: readonly PresentMember[];
  /** From it on the presence channel has all that isn't in the snapshot. */
  readonly cursor: Cursor;
}

type Change = "enter" | "update" | "leave";
type Entry = Deno.KvEntryMaybe<StoredMember>;

export interface MemberRowsOptions {
  readonly kv: Deno.Kv;
  readonly log: Pick<Log, "append" | "head">;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

const utf8 = new TextEncoder();

/**
 * Who is where, as rows of the store. What others can see of it changes in the commit of its event,
 * so that the rows and the presence channel's log never disagree. Calls for one member must come
 * one after the other in an isolate.
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
   * `isolate` has the member from now on. Other data than it has is an update.
   *
   * @param data undefined: what it has.
   * @param initial its data where it isn't there yet and none is given.
   * @throws {Problem} `presence_full`, `contended`, `commit_unknown`, `overloaded`, `storage_*`
   */
  join(
    member: Member,
    isolate: string,
    data: string | undefined,
    initial: string,
  ): Promise<Pick<StoredMember, "data" | "offset">> {
    return this.#untilDone(async () => {
      using admission = this.#counts.open(member.channelKey);
      const entry = await this.#read(member);
      const { value: row } = entry;
      if (row === null) {
        const made = {
          data: data ?? initial,
          since: this.#options.now(),
          isolates: [isolate],
        };
        const offset = await admission.admit(
          () => this.#append("enter", member, entry, made, isolate),
        );
        return { data: made.data, offset };
      }
      const isIn = row.isolates.includes(isolate);
      const isolates = isIn ? row.isolates : [...row.isolates, isolate];
      if (data !== undefined && data !== row.data) {
        const changed = { ...row, data, isolates };
        return { data, offset: await this.#append("update", member, entry, changed, isolate) };
      }
      if (!isIn) {
        await this.#replace(entry, { ...row, isolates }, (atomic) => {
          atomic.set(stayKey(member, isolate), 0);
        });
      }
      return row;
    });
  }

  /**
   * `isolate` no longer has the member: it leaves with the last isolate that has it.
   *
   * @throws {Problem} `contended`, `commit_unknown`, `overloaded`, `storage_*`
   */
  leave(member: Member, isolate: string): Promise<void> {
    return this.#untilDone(async () => {
      const entry = await this.#read(member);
      const { value: row } = entry;
      if (row === null || !row.isolates.includes(isolate)) {
        const { kv } = this.#options;
        const key = stayKey(member, isolate);
        return await withStoreTimeout(retryLocked(() => kv.delete(key)));
      }
      const isolates = row.isolates.filter((other) => other !== isolate);
      const left = { ...row, isolates };
      if (isolates.length === 0) await this.#append("leave", member, entry, left, isolate);
      else {
        await this.#replace(entry, left, (atomic) => {
          atomic.delete(stayKey(member, isolate));
        });
      }
    });
  }

  /** @throws {Problem} `storage_*` */
  async isolatesOf(member: Member): Promise<readonly string[]> {
    return (await this.#read(member)).value?.isolates ?? [];
  }

  /** @throws {Problem} `bad_channel`, `storage_*` */
  async snapshot(channelKey: ChannelKey): Promise<Snapshot> {
    const { kv, log } = this.#options;
    const changes = presenceChannelKey(channelKey);
    // Before the rows: what changes while they are read is behind the cursor, and in some of them.
    const head = await log.head(changes);
    const position = head === undefined ? ORIGIN : { epoch: head.epoch, sequence: head.last };
    const list = async () => {
      const members: PresentMember[] = [];
      const prefix = keys.members(channelKey);
      for await (const { key, value } of kv.list<StoredMember>({ prefix }, { batchSize: 500 })) {
        members.push({ ...value, name: key[3] as MemberName });
      }
      return members.sort((a, b) => a.since - b.since);
    };
    const members = await withStoreTimeout(list());
    return { members, cursor: formatCursor([channelOf(changes)], [position]) };
  }

  #read({ channelKey, name }: Member): Promise<Entry> {
    return this.#reads.get<StoredMember>(keys.member(channelKey, name));
  }

  /** Does `work`, which reads a row, again where another isolate has changed that meanwhile. */
  #untilDone<T>(work: () => Promise<T>): Promise<T> {
    const contended = "Too many concurrent changes of this member; try again.";
    return retryConflicts(work, contended, this.#options.random);
  }

  /** @throws {StaleRowsError} */
  async #replace(
    entry: Entry,
    row: StoredMember,
    also: (atomic: Deno.AtomicOperation) => void,
  ): Promise<void> {
    const atomic = this.#options.kv.atomic().check(entry).set(entry.key, row);
    also(atomic);
    const { ok } = await withStoreTimeout(retryLocked(() => atomic.commit()));
    if (!ok) throw new StaleRowsError();
  }

  /** The offset of the event, which is stored together with `row`. @throws {StaleRowsError} */
  async #append(
    type: Change,
    member: Member,
    entry: Entry,
    row: Omit<StoredMember, "offset">,
    isolate: string,
  ): Promise<Offset> {
    const stay = stayKey(member, isolate);
    const data = changeData(type, member.name, row);
    const draft: Draft = {
      channelKey: presenceChannelKey(member.channelKey),
      id: undefined,
      type,
      contentType: JSON_TYPE,
      data,
      bytes: utf8.encode(data).length,
      key: member.name,
      ttlMs: undefined,
      rows: {
        // Members come with their event alone; what isolates have them changes without one.
        checks: type === "enter" ? [] : [entry],
        absent: type === "enter" ? [entry.key] : [],
        keyBytes: 2 * keyBytes(entry.key) + keyBytes(stay) +
          keyBytes(keys.members(member.channelKey)),
        valueBytes: ROW_BYTES + 2 * row.data.length + ISOLATE_BYTES * row.isolates.length,
        write(atomic, offset) {
          if (type === "leave") atomic.delete(entry.key).delete(stay);
          else atomic.set(entry.key, { ...row, offset } satisfies StoredMember).set(stay, 0);
          if (type === "update") return;
          sumMembers(atomic, member.channelKey, type === "enter" ? 1 : -1);
        },
      },
    };
    const [appended] = await this.#options.log.append([draft]);
    if (appended === undefined) throw new Error("one draft has one answer");
    return appended.offset;
  }
}

/** Where the changes of the channel's presence are. @throws {Problem} `bad_channel` */
export function presenceChannelKey(channelKey: ChannelKey): ChannelKey {
  return channelKeyOf(tenantOf(channelKey), presenceChannel(channelOf(channelKey)));
}

function changeData(
  type: Change,
  member: MemberName,
  { data, since }: Pick<StoredMember, "data" | "since">,
): string {
  const shown = type === "leave" ? "" : `"data":${data},`;
  return `{"member":${JSON.stringify(member)},${shown}"since":"${formatTime(since)}"}`;
}

function stayKey({ channelKey, name: member }: Member, isolate: string): Deno.KvKey {
  return keys.isolateMember(isolate, channelKey, member);
}

/** At the most: a part has a byte before and behind it. */
function keyBytes(key: Deno.KvKey): number {
  return key.reduce<number>((sum, part) => sum + 3 * String(part).length + 2, 0);
}
