import { retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import { type Log, StaleRowsError } from "../log/log.ts";
import { type Channel, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { Offset } from "../shared/offset.ts";
import { Problem } from "../shared/problem.ts";
import { BatchedReads } from "./batched_reads.ts";
import {
  isSameList,
  listedSessions,
  MAX_LISTED_SESSIONS,
  withSessions,
} from "./listed_sessions.ts";
import type { Member, MemberName } from "./member.ts";
import {
  isolateMemberKey,
  type MemberChange,
  memberChangeDraft,
  type MemberEntry,
  type StoredMember,
} from "./member_change.ts";
import { MemberCounts } from "./member_counts.ts";
import type { NamedSession } from "./named_session.ts";

/** What this isolate wants the row of one of its members to have. */
interface WantedRow {
  /** JSON; undefined keeps the data of the row. */
  readonly data: string | undefined;
  /** The data of a new row if `data` is undefined. */
  readonly initialData: string;
  /** The names of the isolate's sessions, without that of `joining`. */
  readonly sessions: readonly string[];
  /** A session to list. */
  readonly joining: NamedSession | undefined;
  /**
   * Whether an earlier write may still arrive. The row is then written even if it has all of this,
   * so that the earlier write fails its check.
   */
  readonly isUncertain: boolean;
}

/** What the row of a member has. */
interface JoinedRow extends Pick<StoredMember, "data" | "offset"> {
  /** The names of this isolate's sessions. */
  readonly sessions: readonly string[];
}

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
   * Adds `isolate` and its sessions to the member's row. This is an `enter` event if the member has
   * no row yet, and an `update` if its data or the list of all isolates' sessions changes.
   *
   * @throws {Problem} `presence_full`, `too_many_sessions`, `contended`, `commit_unknown`,
   * `overloaded`, `storage_*`
   */
  join(member: Member, isolate: string, wanted: WantedRow): Promise<JoinedRow> {
    return this.#retryStale(async () => {
      using admission = this.#counts.open(member.channelKey);
      const entry = await this.#read(member);
      const { value: row } = entry;
      const sessions = sessionsToList(row, wanted);
      if (row === null) {
        const data = wanted.data ?? wanted.initialData;
        const created = withSessions(
          { data, since: this.#options.now(), isolates: [] },
          isolate,
          sessions,
        );
        const offset = await admission.admit(
          () => this.#append({ type: "enter", member, entry, row: created, isolate }),
        );
        return { data, offset, sessions };
      }
      const data = wanted.data ?? row.data;
      const joined = withSessions({ ...row, data }, isolate, sessions);
      const offset = await this.#write(member, isolate, entry, row, joined, wanted.isUncertain);
      return { data, offset, sessions };
    });
  }

  /**
   * Replaces the names of `isolate`'s sessions in the member's row, if the row has the isolate.
   * This is an `update` event if it changes the list of all isolates' sessions. It always writes,
   * so that earlier writes that may still arrive fail their check.
   *
   * @throws {Problem} `contended`, `commit_unknown`, `overloaded`, `storage_*`
   */
  listSessions(member: Member, isolate: string, sessions: readonly string[]): Promise<void> {
    return this.#retryStale(async () => {
      const entry = await this.#read(member);
      const { value: row } = entry;
      if (row === null || !row.isolates.includes(isolate)) return;
      const listed = withSessions(row, isolate, sessions);
      await this.#write(member, isolate, entry, row, listed, true);
    });
  }

  /**
   * Removes `isolate` and its sessions from the member's row. The last isolate deletes the row with
   * a `leave` event. If only other isolates' sessions remain, this is an `update` event if it
   * changes the list of sessions.
   *
   * @throws {Problem} `contended`, `commit_unknown`, `overloaded`, `storage_*`
   */
  leave(member: Member, isolate: string): Promise<void> {
    return this.#retryStale(async () => {
      const entry = await this.#read(member);
      const { value: row } = entry;
      if (row === null || !row.isolates.includes(isolate)) {
        const indexKey = isolateMemberKey(member, isolate);
        return await withStoreTimeout(retryLocked(() => this.#options.kv.delete(indexKey)));
      }
      const remaining = withSessions(row, isolate, undefined);
      if (remaining.isolates.length === 0) {
        await this.#append({ type: "leave", member, entry, row: remaining, isolate });
      } else {
        await this.#write(member, isolate, entry, row, remaining, true);
      }
    });
  }

  /**
   * Returns the names of the member's listed sessions, sorted; undefined if nobody is the member.
   * Calls at the same time share round trips.
   *
   * @throws {Problem} `storage_*`
   */
  async sessionsOf(member: Member): Promise<readonly string[] | undefined> {
    const { value: row } = await this.#read(member);
    return row === null ? undefined : listedSessions(row);
  }

  /**
   * Returns the isolates that have the member; with a session's name, those that list it.
   *
   * @throws {Problem} `storage_*`
   */
  async isolatesOf(member: Member, sessionName?: string): Promise<readonly string[]> {
    const { value: row } = await this.#read(member);
    if (row === null) return [];
    const { isolates, sessions = {} } = row;
    if (sessionName === undefined) return isolates;
    return isolates.filter((isolate) => sessions[isolate]?.includes(sessionName));
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

  /**
   * Changes a row, with an `update` event if others see the change, and returns the offset of the
   * member's last event.
   *
   * @param mustWrite whether to write the row even if it stays the same.
   * @throws {StaleRowsError}
   */
  async #write(
    member: Member,
    isolate: string,
    entry: MemberEntry,
    before: StoredMember,
    row: StoredMember,
    mustWrite: boolean,
  ): Promise<Offset> {
    const isSeen = row.data !== before.data ||
      !isSameList(listedSessions(row), listedSessions(before));
    if (isSeen) return await this.#append({ type: "update", member, entry, row, isolate });
    const isSame = row.isolates.length === before.isolates.length &&
      isSameList(row.sessions?.[isolate] ?? [], before.sessions?.[isolate] ?? []);
    if (mustWrite || !isSame) await this.#replace(member, isolate, entry, row);
    return row.offset;
  }

  /** Changes a row without an event. @throws {StaleRowsError} */
  async #replace(
    member: Member,
    isolate: string,
    entry: MemberEntry,
    row: StoredMember,
  ): Promise<void> {
    const atomic = this.#options.kv.atomic().check(entry).set(entry.key, row);
    const indexKey = isolateMemberKey(member, isolate);
    if (row.isolates.includes(isolate)) atomic.set(indexKey, 0);
    else atomic.delete(indexKey);
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

/**
 * Returns the names of the isolate's sessions as its row shall have them.
 *
 * @throws {Problem} `too_many_sessions`
 */
function sessionsToList(
  row: StoredMember | null,
  { sessions, joining }: WantedRow,
): readonly string[] {
  if (joining === undefined || sessions.includes(joining.name)) return sessions.toSorted();
  const listed = row === null ? [] : listedSessions(row);
  if (!listed.includes(joining.name) && listed.length >= MAX_LISTED_SESSIONS) {
    if (!joining.mustBeListed) return sessions.toSorted();
    throw new Problem(
      "too_many_sessions",
      `This member already has ${MAX_LISTED_SESSIONS} named sessions, which is the maximum.`,
    );
  }
  return [...sessions, joining.name].sort();
}
