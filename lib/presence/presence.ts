import type { Log } from "../log/log.ts";
import { waitAtMost } from "../shared/async/deadline.ts";
import { SharedReads } from "../shared/async/shared_reads.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { Offset } from "../shared/offset.ts";
import { Problem } from "../shared/problem.ts";
import { HttpSessions } from "./http_sessions.ts";
import { requestLeave, takeLeaveRequests } from "./leave_requests.ts";
import { LocalMembers, type SessionKey } from "./local_members.ts";
import type { Member } from "./member.ts";
import { MemberRows } from "./member_rows.ts";
import { MemberWriter } from "./member_writer.ts";
import type { MemberSession } from "./named_session.ts";
import { presenceChannelKey } from "./presence_channel.ts";
import { REAP_INTERVAL_MS, Reaper } from "./reaper.ts";
import { readSnapshot, type Snapshot } from "./snapshot.ts";

/** How often due work is done. */
const TICK_INTERVAL_MS = 1_000;
/** How often late joins are undone: their commit arrived after they were refused. */
const LATE_JOIN_INTERVAL_MS = 60_000;
/** How long closing waits for pending work: a process has 5 s to stop. */
const CLOSE_TIMEOUT_MS = 1_000;

export interface PresenceOptions {
  readonly kv: Deno.Kv;
  readonly log: Pick<Log, "append" | "bounds">;
  /** Whether all isolates of the store run on this machine, and so share its clock. */
  readonly isOneMachine: boolean;
  /** Called with failures of background work, which is tried again. */
  readonly onWarning: (message: string, cause: unknown) => void;
  /** Returns milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** Returns milliseconds of a clock that never jumps. @default {performance.now} */
  readonly monotonicNow?: () => number;
  /** Returns a number from 0 to 1. @default {Math.random} */
  readonly random?: () => number;
  /** How often due work is done; 0 leaves it to calls of {@link Presence.tick}. */
  readonly tickIntervalMs?: number;
}

/**
 * Knows who is present in which channel. A member joins with the first of its sessions on any
 * isolate, and leaves with the last one.
 */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #monotonicNow: () => number;
  readonly #rows: MemberRows;
  readonly #writer: MemberWriter;
  readonly #reaper: Reaper;
  readonly #http: HttpSessions;
  readonly #members = new LocalMembers();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  readonly #jobs = new Map<string, Promise<void>>();
  readonly #snapshots: SharedReads<ChannelKey, Snapshot>;
  #reapedAtMs = -Infinity;
  #undidLateJoinsAtMs: number;
  #isClosed = false;

  constructor(options: PresenceOptions) {
    const { kv, log, isOneMachine, onWarning, now = Date.now, random = Math.random } = options;
    const monotonicNow = options.monotonicNow ?? (() => performance.now());
    this.#options = options;
    this.#monotonicNow = monotonicNow;
    this.#undidLateJoinsAtMs = monotonicNow();
    const rows = this.#rows = new MemberRows({ kv, log, now, random });
    const members = this.#members;
    const writer = new MemberWriter({ kv, rows, members, onWarning, now, monotonicNow });
    this.#writer = writer;
    this.#http = new HttpSessions(monotonicNow);
    this.#reaper = new Reaper({
      kv,
      isOneMachine,
      now,
      monotonicNow,
      membersOf: (isolate) => rows.membersOf(isolate),
      removeMember: (member, isolate) => writer.reap(member, isolate),
      onWarning,
    });
    this.#snapshots = new SharedReads((channelKey) => readSnapshot(kv, log, channelKey));
    const { tickIntervalMs = TICK_INTERVAL_MS } = options;
    if (tickIntervalMs > 0) this.#timer = setInterval(() => void this.tick(), tickIntervalMs);
  }

  /** Returns how many members have sessions here, or had some within the grace period. */
  get members(): number {
    return this.#members.size;
  }

  /**
   * Adds a session to the member, until the session leaves or disconnects. Joining again with other
   * data updates the member. A {@link NamedSession} is listed with the member.
   *
   * @param data JSON; undefined keeps the member's data, which is null at first.
   * @returns the offset of the member's last event.
   * @throws {Problem} `presence_full`, `too_many_sessions`, `shutting_down`, `contended`,
   * `commit_unknown`, `overloaded`, `storage_*`
   */
  async join(session: SessionKey, member: Member, data?: string): Promise<Offset> {
    if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
    presenceChannelKey(member.channelKey); // throws for an invalid channel before anything changes
    const join = this.#members.startJoin(session, member);
    try {
      const offset = await this.#writer.join(join, data);
      this.#members.acceptJoin(join);
      return offset;
    } catch (cause) {
      this.#members.refuseJoin(join, this.#monotonicNow());
      throw cause;
    }
  }

  /**
   * Removes a session at its own request. The member leaves with its last session.
   *
   * @throws {Problem} `contended`, `commit_unknown`, `overloaded`, `storage_*`: the member leaves
   * when a later attempt succeeds.
   */
  async leave(session: SessionKey, member: Member): Promise<void> {
    const local = this.#members.leave(session, member, this.#monotonicNow());
    if (local !== undefined) await this.#writer.leave(local);
  }

  /**
   * Ends all sessions of the name at the client's request, also one whose connection was lost; on
   * another isolate within seconds.
   *
   * @throws {Problem} as {@link leave}
   */
  async endSession(session: MemberSession): Promise<void> {
    await this.#endOwnSession(session);
    await this.#requestLeave(session, session.sessionName);
  }

  /**
   * Removes a session whose connection was lost. Its member leaves after the grace period, in which
   * the name of the session stays listed.
   */
  disconnect(session: SessionKey, member: Member): void {
    this.#members.disconnect(session, member, this.#monotonicNow());
  }

  /**
   * Joins as {@link join} does, with a session that expires unless it is renewed by another call.
   *
   * @param connect counts a new session as a connection until it ends.
   * @throws {Problem} as {@link join}, and as {@link HttpSessions.renew}
   */
  async renewHttpSession(
    session: MemberSession,
    data: string | undefined,
    connect: () => Disposable,
  ): Promise<Offset> {
    if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
    const { member } = session;
    const named = this.#http.renew(session, connect);
    try {
      return await this.join(named, member, data);
    } finally {
      if (!this.hasSession(named, member)) this.#http.end(session);
    }
  }

  /**
   * Ends a session over HTTP on whichever isolate has it; on another isolate within seconds.
   *
   * @throws {Problem} as {@link leave}
   */
  async endHttpSession(session: MemberSession): Promise<void> {
    await this.#endOwnSession(session);
    await this.#requestLeave(session);
  }

  /** Returns whether the session is one of the member's on this isolate, or asks to join. */
  hasSession(session: SessionKey, member: Member): boolean {
    return this.#members.hasSession(session, member);
  }

  /**
   * Returns the names of the member's listed sessions on all isolates, sorted; undefined if nobody
   * is the member. Calls at the same time share round trips.
   *
   * @throws {Problem} `storage_*`
   */
  sessionsOf(member: Member): Promise<readonly string[] | undefined> {
    return this.#rows.sessionsOf(member);
  }

  /**
   * Returns who is present in the channel. Calls at the same time share a read, which starts after
   * them.
   *
   * @throws {Problem} `bad_channel`, `storage_*`
   */
  snapshot(channelKey: ChannelKey): Promise<Snapshot> {
    return this.#snapshots.get(channelKey);
  }

  /** Does the work that is due. Work still running from an earlier tick is not started twice. */
  async tick(): Promise<void> {
    if (this.#isClosed) return;
    for (const { member, named } of this.#http.takeExpired()) this.disconnect(named, member);
    const writer = this.#writer;
    const nowMs = this.#monotonicNow();
    const jobs = [
      this.#runJob("failed to remove members", () => writer.removeDue()),
      this.#runJob("failed to renew the lease of members", () => writer.renewLease()),
    ];
    if (nowMs - this.#reapedAtMs >= REAP_INTERVAL_MS) {
      this.#reapedAtMs = nowMs;
      jobs.push(
        this.#runJob("failed to reap dead isolates", () => this.#reaper.reap(writer.isolate)),
        this.#runJob("failed to end sessions", () => this.#takeLeaveRequests()),
      );
    }
    if (nowMs - this.#undidLateJoinsAtMs >= LATE_JOIN_INTERVAL_MS) {
      this.#undidLateJoinsAtMs = nowMs;
      jobs.push(this.#runJob("failed to undo late joins", () => writer.undoLateJoins()));
    }
    await Promise.all(jobs);
  }

  /**
   * Stops. Members that do not reconnect elsewhere are reaped after the grace period, by another
   * isolate or by the next process on the store.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#http.close();
    const end = async () => {
      await Promise.all([this.#writer.idle(), ...this.#jobs.values()]);
      await this.#writer.endLease();
      await this.#reaper.release();
    };
    // If this fails, the leases expire by themselves.
    const ended = end().catch((cause) => {
      this.#options.onWarning("failed to release the leases of presence", cause);
    });
    await waitAtMost(ended, CLOSE_TIMEOUT_MS);
  }

  /** Ends this isolate's sessions whose end was requested from another isolate. */
  async #takeLeaveRequests(): Promise<void> {
    if (this.#members.size === 0) return;
    const { kv } = this.#options;
    await takeLeaveRequests(kv, this.#writer.isolate, (session) => {
      return this.#endOwnSession(session);
    });
  }

  async #endOwnSession(session: MemberSession): Promise<void> {
    this.#http.end(session);
    const { member, sessionName } = session;
    const local = this.#members.leaveName(sessionName, member, this.#monotonicNow());
    if (local !== undefined) await this.#writer.leave(local);
  }

  /** Asks the isolates that have the member, or list the session, to end it. */
  async #requestLeave(session: MemberSession, listedName?: string): Promise<void> {
    for (const isolate of await this.#rows.isolatesOf(session.member, listedName)) {
      if (isolate !== this.#writer.isolate) await requestLeave(this.#options.kv, isolate, session);
    }
  }

  /** Runs background work, unless the same is still running. Failures are only logged. */
  async #runJob(failure: string, work: () => Promise<void>): Promise<void> {
    const running = this.#jobs.get(failure);
    if (running !== undefined) return await running;
    const job = work()
      .catch((cause) => this.#options.onWarning(failure, cause))
      .finally(() => this.#jobs.delete(failure));
    this.#jobs.set(failure, job);
    await job;
  }
}
