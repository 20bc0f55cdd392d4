import { JoinState } from "./join_state.ts";
import { type Member, memberId } from "./member.ts";

/** How long a member stays after its last session disconnects, so that a reconnect is no leave. */
export const GRACE_MS = 10_000;

/** Identifies a session of a member on this isolate: a socket, or the name of an HTTP session. */
export type SessionKey = unknown;

/** A member that has, or just had, sessions on this isolate. */
export interface LocalMember {
  readonly id: string;
  readonly member: Member;
  readonly sessions: Map<SessionKey, JoinState>;
  /** JSON, as this isolate knows it. */
  data: string;
  /** Whether the store may have this isolate in the member's row. */
  isStored: boolean;
}

/** A call to join, until its answer. */
export interface PendingJoin {
  readonly local: LocalMember;
  readonly session: SessionKey;
  readonly state: JoinState;
}

/**
 * Keeps the members of this isolate and their sessions, and decides what happens to them. Callers
 * do the writes.
 *
 * A member is _joining_ until a session is accepted, then _present_. Without a session it is in its
 * _grace period_ or _leaving_, and {@link due} once that time has come. It is _reaped_ when other
 * isolates removed it, until it joins again. `docs/design.md` has the diagram.
 */
export class LocalMembers {
  readonly #members = new Map<string, LocalMember>();
  /** When members without an accepted session leave. */
  readonly #leavesAtMs = new Map<LocalMember, number>();
  readonly #reaped = new Set<LocalMember>();

  get size(): number {
    return this.#members.size;
  }

  has(member: Member): boolean {
    return this.#members.has(memberId(member));
  }

  hasSession(session: SessionKey, member: Member): boolean {
    return this.#members.get(memberId(member))?.sessions.has(session) ?? false;
  }

  /** Starts a call to join, which ends with {@link acceptJoin} or {@link refuseJoin}. */
  startJoin(session: SessionKey, member: Member): PendingJoin {
    const id = memberId(member);
    const local: LocalMember = this.#members.get(id) ??
      { id, member, sessions: new Map(), data: "null", isStored: false };
    this.#members.set(id, local);
    const state = local.sessions.get(session) ?? new JoinState();
    local.sessions.set(session, state);
    state.start();
    return { local, session, state };
  }

  acceptJoin({ local, state }: PendingJoin): void {
    state.accept();
    if (local.sessions.size > 0) this.#leavesAtMs.delete(local);
  }

  /**
   * Removes a session that stays out. The member keeps what is left of its grace period, if any.
   */
  refuseJoin({ local, session, state }: PendingJoin, nowMs: number): void {
    const isOut = state.refuse();
    if (!isOut || local.sessions.get(session) !== state) return;
    local.sessions.delete(session);
    if (local.sessions.size > 0) return;
    if (!local.isStored) this.#forget(local);
    else if (!this.#leavesAtMs.has(local)) this.#leavesAtMs.set(local, nowMs);
  }

  /**
   * Returns the member to store when a join is next in the queue. If it left in the meantime, it is
   * added again; without a session it is due at once.
   */
  resolveJoining(local: LocalMember, nowMs: number): LocalMember {
    const current = this.#members.get(local.id);
    if (current !== undefined) return current;
    this.#members.set(local.id, local);
    this.#scheduleLeave(local, nowMs);
    return local;
  }

  /** Records that the store has the member with this isolate and `data`. */
  markStored(local: LocalMember, data: string): void {
    local.isStored = true;
    local.data = data;
    this.#reaped.delete(local);
  }

  /** Records that a write without an answer may have stored the member, or may still do so. */
  markMaybeStored(local: LocalMember): void {
    local.isStored = true;
  }

  /** Removes a session at its own request; without another one the member is due at once. */
  leave(session: SessionKey, member: Member, nowMs: number): LocalMember | undefined {
    return this.#removeSession(session, member, nowMs);
  }

  /** Removes a session whose connection was lost; the last one leaves the grace period. */
  disconnect(session: SessionKey, member: Member, nowMs: number): void {
    this.#removeSession(session, member, nowMs + GRACE_MS);
  }

  /** Returns the members whose time to leave has come. */
  due(nowMs: number): readonly LocalMember[] {
    return [...this.#leavesAtMs].filter(([, atMs]) => atMs <= nowMs).map(([local]) => local);
  }

  /** Returns whether the member still has no session, so that the store may forget it. */
  mayLeave(local: LocalMember): boolean {
    return local.sessions.size === 0 && this.#members.get(local.id) === local;
  }

  /** Records that the store no longer has this isolate in the member's row. */
  markLeft(local: LocalMember): void {
    local.isStored = false;
    if (local.sessions.size === 0) this.#forget(local); // else a join is next in the queue
  }

  /** Records that other isolates reap all members, because this isolate's lease expired. */
  markAllReaped(): void {
    for (const local of this.#members.values()) this.#reaped.add(local);
  }

  /** Returns the members that have to join again. */
  reaped(): readonly LocalMember[] {
    return [...this.#reaped];
  }

  /**
   * Returns whether the member was reaped and has a session to join again with. Without a session
   * it no longer counts as reaped.
   */
  mustRejoin(local: LocalMember): boolean {
    if (!this.#reaped.has(local)) return false;
    if (local.sessions.size > 0) return true;
    this.#reaped.delete(local);
    return false;
  }

  #removeSession(
    session: SessionKey,
    member: Member,
    leavesAtMs: number,
  ): LocalMember | undefined {
    const local = this.#members.get(memberId(member));
    if (local === undefined || !local.sessions.delete(session)) return undefined;
    this.#scheduleLeave(local, leavesAtMs);
    return local;
  }

  #scheduleLeave(local: LocalMember, atMs: number): void {
    if (local.sessions.size === 0) this.#leavesAtMs.set(local, atMs);
  }

  #forget(local: LocalMember): void {
    if (this.#members.get(local.id) === local) this.#members.delete(local.id);
    this.#leavesAtMs.delete(local);
    this.#reaped.delete(local);
  }
}
