import type { Log } from "../log/log.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { Offset } from "../shared/offset.ts";
import { Problem } from "../shared/problem.ts";
import { kindOf } from "../shared/problem_codes.ts";
import { waitAtMost } from "../shared/async/deadline.ts";
import { REAP_INTERVAL_MS, Reaper } from "./reaper.ts";
import { type HttpSession, HttpSessions } from "./http_sessions.ts";
import { IsolateLease } from "./isolate_lease.ts";
import { type Member, memberId } from "./member.ts";
import { MemberRows, presenceChannelKey, type Snapshot } from "./member_rows.ts";
import { requestLeave, takeLeaveRequests } from "./leave_requests.ts";
import { pooledForEach } from "../shared/async/pooled_for_each.ts";
import { KeyedSerialQueue } from "../shared/async/serial_queue.ts";
import { membersOf } from "./stays.ts";

/** How long a member stays after its last session was lost, in ms: so a reconnect is no leave. */
export const GRACE_MS = 10_000;
/** Between two looks at what is due, in ms. */
const BEAT_MS = 1_000;
/**
 * Between two looks for members that nobody here is, in ms: of a commit that arrived when whoever
 * wanted it had been refused and had left.
 */
const TIDY_MS = 60_000;
/** Members that leave or return at once. Met: a log that has no room for publishes. */
const AT_ONCE = 100;
/** How long what is under way may take when it closes, in ms: a process has 5 s to stop. */
const CLOSE_MS = 1_000;

export interface PresenceOptions {
  readonly kv: Deno.Kv;
  readonly log: Pick<Log, "append" | "head">;
  /** Whether all isolates of the store are on this machine, and have its clock. */
  readonly isOneMachine: boolean;
  /** Told of what failed and is tried again. */
  readonly onWarning: (message: string, cause: unknown) => void;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** Milliseconds of a clock that never jumps. @default performance.now */
  readonly monotonicNow?: () => number;
  /** From 0 to 1. @default {Math.random} */
  readonly random?: () => number;
  /** Milliseconds between two looks at what is due; 0: none but by {@link Presence.tick}. */
  readonly tickIntervalMs?: number;
}

/** One session of a member, from its first `enter` on. */
interface SessionState {
  /** It was let in. */
  isIn: boolean;
  /** Calls of `enter` without their answer. */
  calls: number;
}

/** A member that this isolate has. */
interface LocalMember {
  readonly key: string;
  readonly member: Member;
  /** Whoever keeps it there: sockets, and the names of HTTP sessions. */
  readonly sessions: Map<unknown, SessionState>;
  /** As this isolate knows it. */
  data: string;
  /** Whether the rows may say that it is here. */
  isWritten: boolean;
}

/**
 * Who is in which channel, by the sessions that this isolate has: the first one of a member anywhere
 * enters it, the last one takes it out.
 */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #monotonicNow: () => number;
  readonly #rows: MemberRows;
  readonly #lease: IsolateLease;
  readonly #departures: Reaper;
  readonly #http: HttpSessions;
  readonly #turns = new KeyedSerialQueue();
  readonly #held = new Map<string, LocalMember>();
  /** Those without a session that was let in, and when they leave unless one is. */
  readonly #leaving = new Map<LocalMember, number>();
  /** Those that others took out, since they took this isolate for dead. */
  readonly #astray = new Set<LocalMember>();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  readonly #jobs = new Map<string, Promise<void>>();
  #lookedAt = -Infinity;
  #tidiedAt: number;
  #isClosed = false;

  constructor(options: PresenceOptions) {
    const { kv, log, isOneMachine, now = Date.now, random = Math.random } = options;
    const monotonicNow = this.#monotonicNow = options.monotonicNow ?? (() => performance.now());
    this.#tidiedAt = monotonicNow();
    this.#options = options;
    this.#rows = new MemberRows({ kv, log, now, random });
    this.#http = new HttpSessions(monotonicNow);
    this.#lease = new IsolateLease({ kv, now, monotonicNow, onLost: () => this.#lost() });
    this.#departures = new Reaper({
      kv,
      isOneMachine,
      now,
      monotonicNow,
      membersOf: (isolate) => membersOf(kv, isolate),
      removeMember: (member, isolate) => {
        return this.#turns.run(memberId(member), () => this.#rows.leave(member, isolate));
      },
    });
    const { tickIntervalMs: interval = BEAT_MS } = options;
    if (interval > 0) this.#timer = setInterval(() => void this.tick(), interval);
  }

  /**
   * The member is there by `session`, with `data`, from now on. Once more with other data is an
   * update.
   *
   * @param session as long as it is neither left nor lost.
   * @param data JSON; undefined: what it has, or null.
   * @returns the offset of the event that made the member what it is.
   * @throws {Problem} `presence_full`, `shutting_down`, `contended`, `commit_unknown`,
   * `overloaded`, `storage_*`
   */
  async join(session: unknown, member: Member, data?: string): Promise<Offset> {
    if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
    presenceChannelKey(member.channelKey); // says what is wrong with it before anything is kept
    const local = this.#hold(member);
    const state = local.sessions.get(session) ?? { isIn: false, calls: 0 };
    local.sessions.set(session, state);
    state.calls++;
    try {
      const offset = await this.#turns.run(local.key, () => this.#enter(local, data));
      state.isIn = true;
      if (local.sessions.size > 0) this.#leaving.delete(local);
      return offset;
    } catch (cause) {
      const isOut = !state.isIn && state.calls === 1; // else another call may yet let it in
      if (isOut && local.sessions.get(session) === state) this.#refused(session, local);
      throw cause;
    } finally {
      state.calls--;
    }
  }

  /**
   * The session has taken its leave: so has the member, if it was the last.
   *
   * @throws {Problem} `contended`, `commit_unknown`, `overloaded`, `storage_*`: then it leaves soon.
   */
  async leave(session: unknown, member: Member): Promise<void> {
    const held = this.#held.get(memberId(member));
    if (held === undefined || !held.sessions.delete(session)) return;
    this.#leaveAfter(held, 0);
    await this.#turns.run(held.key, () => this.#leave(held));
  }

  /** The session has ended without a word: the member leaves too, unless it comes back in time. */
  disconnect(session: unknown, member: Member): void {
    const held = this.#held.get(memberId(member));
    if (held?.sessions.delete(session)) this.#leaveAfter(held, GRACE_MS);
  }

  /**
   * As {@link join}, for a session that ends by its time unless this is said again.
   *
   * @param connect counts the session until it ends.
   * @throws {Problem} as {@link join}, and as {@link HttpSessions.renew}
   */
  async renewHttpSession(
    session: HttpSession,
    data: string | undefined,
    connect: () => Disposable,
  ): Promise<Offset> {
    if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
    const { member, sessionName } = session;
    this.#http.renew(session, connect);
    try {
      return await this.join(sessionName, member, data);
    } finally {
      if (!this.#held.get(memberId(member))?.sessions.has(sessionName)) this.#http.end(session);
    }
  }

  /**
   * Ends such a session, whichever isolate has it: another one within seconds.
   *
   * @throws {Problem} as {@link leave}
   */
  async leaveOverHttp(session: HttpSession): Promise<void> {
    await this.#part(session);
    for (const isolate of await this.#rows.isolatesOf(session.member)) {
      if (isolate !== this.#lease.id) await requestLeave(this.#options.kv, isolate, session);
    }
  }

  /** Who is in the channel. @throws {Problem} `bad_channel`, `storage_*` */
  snapshot(channelKey: ChannelKey): Promise<Snapshot> {
    return this.#rows.snapshot(channelKey);
  }

  /** Does what is due: that which is still under way from before goes on. */
  async tick(): Promise<void> {
    if (this.#isClosed) return;
    for (const { member, sessionName } of this.#http.takeExpired()) {
      this.disconnect(sessionName, member);
    }
    const { kv } = this.#options;
    const isLookDue = this.#monotonicNow() - this.#lookedAt >= REAP_INTERVAL_MS;
    if (isLookDue) this.#lookedAt = this.#monotonicNow();
    const isTidyDue = this.#monotonicNow() - this.#tidiedAt >= TIDY_MS;
    if (isTidyDue) this.#tidiedAt = this.#monotonicNow();
    await Promise.all([
      this.#job("members could not leave", () => this.#leaveDue()),
      this.#job("the lease of members could not be renewed", () => this.#prolong()),
      isLookDue && this.#job("members of other isolates could not be looked at", () => {
        return this.#departures.reap(this.#lease.id);
      }),
      isLookDue && this.#held.size > 0 && this.#job("sessions could not be ended", () => {
        return takeLeaveRequests(kv, this.#lease.id, (session) => this.#part(session));
      }),
      isTidyDue && this.#job("members that came late could not leave", () => this.#tidy()),
    ]);
  }

  /**
   * Lets go of all: who doesn't come back elsewhere is taken out by another isolate after the grace
   * time, or by the next process on the store.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#http.close();
    const end = async () => {
      await Promise.all([this.#turns.idle(), ...this.#jobs.values()]);
      if (this.#held.size > 0) await this.#lease.shorten(GRACE_MS);
      else await this.#lease.release(() => true);
      await this.#departures.release();
    };
    // Without it the leases end by themselves.
    const warned = end().catch((cause) => this.#options.onWarning("presence did not end", cause));
    await waitAtMost(warned, CLOSE_MS);
  }

  #hold(member: Member): LocalMember {
    const key = memberId(member);
    const local: LocalMember = this.#held.get(key) ??
      { key, member, sessions: new Map(), data: "null", isWritten: false };
    this.#held.set(key, local);
    return local;
  }

  /** A session was not let in: the member stays for what it has of its grace time, if any. */
  #refused(session: unknown, local: LocalMember): void {
    local.sessions.delete(session);
    if (local.sessions.size > 0) return;
    if (!local.isWritten) this.#forget(local);
    else if (!this.#leaving.has(local)) this.#leaveAfter(local, 0);
  }

  #forget(local: LocalMember): void {
    if (this.#held.get(local.key) === local) this.#held.delete(local.key);
    this.#leaving.delete(local);
    this.#astray.delete(local);
  }

  async #part(session: HttpSession): Promise<void> {
    this.#http.end(session);
    await this.leave(session.sessionName, session.member);
  }

  async #enter(asked: LocalMember, data: string | undefined): Promise<Offset> {
    const local = this.#held.get(asked.key) ?? asked;
    if (!this.#held.has(local.key)) { // it left, came back and left again before its turn
      this.#held.set(local.key, local);
      this.#leaveAfter(local, 0);
    }
    await this.#lease.ensureHeld();
    try {
      const row = await this.#rows.join(local.member, this.#lease.id, data, local.data);
      local.isWritten = true;
      local.data = row.data;
      this.#astray.delete(local);
      return row.offset;
    } catch (cause) {
      if (mayBeWritten(cause)) {
        local.isWritten = true;
        this.#lease.markUncertain();
      }
      throw cause;
    }
  }

  /** If nobody has come meanwhile. */
  async #leave(local: LocalMember): Promise<void> {
    if (local.sessions.size > 0 || this.#held.get(local.key) !== local) return;
    await this.#rows.leave(local.member, this.#lease.id);
    local.isWritten = false;
    if (local.sessions.size === 0) this.#forget(local); // else theirs is the next turn
  }

  #leaveAfter(local: LocalMember, milliseconds: number): void {
    if (local.sessions.size === 0) this.#leaving.set(local, this.#monotonicNow() + milliseconds);
  }

  async #leaveDue(): Promise<void> {
    const due = [...this.#leaving].filter(([, at]) => at <= this.#monotonicNow());
    await pooledForEach(AT_ONCE, due, async ([local]) => {
      await this.#turns.run(local.key, () => this.#leave(local))
        .catch((cause) => this.#options.onWarning("a member could not leave yet", cause));
    });
  }

  async #prolong(): Promise<void> {
    if (this.#held.size === 0) return await this.#lease.release(() => this.#held.size === 0);
    await this.#lease.ensureHeld();
    await pooledForEach(AT_ONCE, [...this.#astray], async (local) => {
      await this.#turns.run(local.key, () => this.#return(local))
        .catch((cause) => this.#options.onWarning("a member could not return yet", cause));
    });
  }

  /** Takes out who is here by the rows and by no session. */
  async #tidy(): Promise<void> {
    const places = await membersOf(this.#options.kv, this.#lease.id);
    const left = places.filter((member) => !this.#held.has(memberId(member)));
    await pooledForEach(AT_ONCE, left, async (member) => {
      const key = memberId(member);
      const leave = async () => {
        if (!this.#held.has(key)) await this.#rows.leave(member, this.#lease.id);
      };
      await this.#turns.run(key, leave)
        .catch((cause) =>
          this.#options.onWarning("a member that came late could not leave", cause)
        );
    });
  }

  #lost(): void {
    for (const local of this.#held.values()) this.#astray.add(local);
  }

  async #return(local: LocalMember): Promise<void> {
    if (local.sessions.size > 0 && this.#astray.has(local)) await this.#enter(local, undefined);
    else this.#astray.delete(local);
  }

  /** Unless the same is still under way. */
  async #job(failure: string, work: () => Promise<void>): Promise<void> {
    const running = this.#jobs.get(failure);
    if (running !== undefined) return await running;
    const job = work()
      .catch((cause) => this.#options.onWarning(failure, cause))
      .finally(() => this.#jobs.delete(failure));
    this.#jobs.set(failure, job);
    await job;
  }
}

/** Whether what failed so may be in the store all the same, or come there later. */
function mayBeWritten(cause: unknown): boolean {
  if (!(cause instanceof Problem)) return true;
  return kindOf(cause.code) === "storage";
}
