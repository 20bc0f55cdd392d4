import { pooledForEach } from "../shared/async/pooled_for_each.ts";
import { KeyedSerialQueue } from "../shared/async/serial_queue.ts";
import type { Offset } from "../shared/offset.ts";
import { Problem } from "../shared/problem.ts";
import { kindOf } from "../shared/problem_codes.ts";
import { IsolateLease } from "./isolate_lease.ts";
import {
  GRACE_MS,
  type LocalMember,
  type LocalMembers,
  type PendingJoin,
} from "./local_members.ts";
import { type Member, memberId } from "./member.ts";
import type { MemberRows } from "./member_rows.ts";
import { NamedSession } from "./named_session.ts";
import { StartTurns } from "./start_turns.ts";

/** Members that leave or rejoin at once. Guards against filling the log's queue. */
const MAX_CONCURRENT_CHANGES = 100;
/**
 * Joins and leaves that start in one turn of the event loop. Guards against thousands of clients
 * that come or go together.
 */
const STARTED_PER_TURN = 100;

interface MemberWriterOptions {
  readonly kv: Deno.Kv;
  readonly rows: MemberRows;
  readonly members: LocalMembers;
  /** Called with failures of background work, which is tried again. */
  readonly onWarning: (message: string, cause: unknown) => void;
  /** Returns milliseconds since 1970. */
  readonly now: () => number;
  /** Returns milliseconds of a clock that never jumps. */
  readonly monotonicNow: () => number;
}

/**
 * Writes the members of this isolate to the store: their rows, one write at a time for each member,
 * and the lease that keeps other isolates from reaping them.
 */
export class MemberWriter {
  readonly #options: MemberWriterOptions;
  readonly #lease: IsolateLease;
  readonly #queues = new KeyedSerialQueue();
  readonly #turns = new StartTurns(STARTED_PER_TURN);

  constructor(options: MemberWriterOptions) {
    this.#options = options;
    const { kv, members, now, monotonicNow } = options;
    this.#lease = new IsolateLease({
      kv,
      now,
      monotonicNow,
      onLost: () => members.markAllReaped(),
    });
  }

  /** This isolate's id in the rows. */
  get isolate(): string {
    return this.#lease.id;
  }

  /**
   * Writes the row of a member that joins, and returns the offset of its last event.
   *
   * @throws {Problem} as {@link MemberRows.join}
   */
  join({ local, session }: PendingJoin, data: string | undefined): Promise<Offset> {
    const joining = session instanceof NamedSession ? session : undefined;
    return this.#queues.run(local.id, () => this.#store(local, data, joining));
  }

  /**
   * Removes this isolate from the member's row, unless it has a session or one has joined in the
   * meantime; then it removes the names of sessions that have left.
   *
   * @throws {Problem} as {@link MemberRows.leave}
   */
  leave(local: LocalMember): Promise<void> {
    return this.#queues.run(local.id, () => this.#remove(local));
  }

  /**
   * Removes another isolate from the member's row.
   *
   * @throws {Problem} as {@link MemberRows.leave}
   */
  reap(member: Member, isolate: string): Promise<void> {
    return this.#queues.run(memberId(member), () => this.#options.rows.leave(member, isolate));
  }

  /** Removes the members, and the names of sessions, whose time to leave has come. */
  async removeDue(): Promise<void> {
    const { members, monotonicNow } = this.#options;
    const due = members.due(monotonicNow());
    await this.#forEachInTurn(due, "failed to remove a member", (local) => this.#remove(local));
  }

  /** Renews the lease while there are members, and lets reaped members join again. */
  async renewLease(): Promise<void> {
    const { members } = this.#options;
    if (members.size === 0) return await this.#lease.release(() => members.size === 0);
    await this.#lease.ensureHeld();
    await this.#forEachInTurn(members.reaped(), "failed to rejoin a member", async (local) => {
      if (members.mustRejoin(local)) await this.#store(local, undefined);
    });
  }

  /** Removes stored members without a session: their join got an error, but was stored later. */
  async undoLateJoins(): Promise<void> {
    const { rows, members } = this.#options;
    const stored = await rows.membersOf(this.#lease.id);
    const late = stored.filter((member) => !members.has(member))
      .map((member) => ({ id: memberId(member), member }));
    await this.#forEachInTurn(late, "failed to undo a late join", async ({ member }) => {
      if (!members.has(member)) await rows.leave(member, this.#lease.id);
    });
  }

  /** Resolves once all writes so far have ended. */
  async idle(): Promise<void> {
    await this.#queues.idle();
  }

  /**
   * Gives the lease up; with members it expires after the grace period.
   *
   * @throws {Problem} `storage_*`
   */
  async endLease(): Promise<void> {
    if (this.#options.members.size > 0) await this.#lease.shorten(GRACE_MS);
    else await this.#lease.release(() => true);
  }

  async #store(
    known: LocalMember,
    data: string | undefined,
    joining?: NamedSession,
  ): Promise<Offset> {
    const { rows, members, monotonicNow } = this.#options;
    const local = members.resolveJoining(known, monotonicNow());
    await this.#lease.ensureHeld();
    await this.#turns.next(); // all joins that have waited for the lease continue together
    try {
      const row = await rows.join(local.member, this.#lease.id, {
        data,
        initialData: local.data,
        sessions: members.keptNames(local, monotonicNow()),
        joining,
        isUncertain: local.isUncertain,
      });
      members.markStored(local, row.data, row.sessions);
      return row.offset;
    } catch (cause) {
      if (mayBeStored(cause)) {
        members.markMaybeStored(local, joining);
        this.#lease.markUncertain();
      }
      throw cause;
    }
  }

  async #remove(local: LocalMember): Promise<void> {
    const { rows, members, monotonicNow } = this.#options;
    await this.#turns.next();
    const nowMs = monotonicNow();
    try {
      if (members.mayLeave(local, nowMs)) {
        await rows.leave(local.member, this.#lease.id);
        members.markLeft(local);
      } else if (members.hasGoneNames(local, nowMs)) {
        const kept = members.keptNames(local, nowMs);
        await rows.listSessions(local.member, this.#lease.id, kept);
        members.markListed(local, kept);
      }
    } catch (cause) {
      if (mayBeStored(cause)) members.markUncertain(local);
      throw cause;
    }
  }

  /** Does `work` for each member in the order of its writes. Failures become warnings. */
  async #forEachInTurn<T extends { readonly id: string }>(
    members: readonly T[],
    failure: string,
    work: (member: T) => Promise<void>,
  ): Promise<void> {
    await pooledForEach(MAX_CONCURRENT_CHANGES, members, async (member) => {
      await this.#queues.run(member.id, () => work(member))
        .catch((cause) => this.#options.onWarning(failure, cause));
    });
  }
}

/** Returns whether a write that failed with `cause` may be in the store, now or later. */
function mayBeStored(cause: unknown): boolean {
  if (!(cause instanceof Problem)) return true;
  return kindOf(cause.code) === "storage";
}
