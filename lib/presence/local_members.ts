import { JoinState } from "./join_state.ts";
import { type Member, memberId } from "./member.ts";
import { NamedSession } from "./named_session.ts";
import { SessionNames } from "./session_names.ts";

/** How long a member stays after its last session disconnects, so that a reconnect is no leave. */
export const GRACE_MS = 10_000;

/**
 * Identifies a session of a member on this isolate. A {@link NamedSession} is listed; any other
 * value, such as a socket, identifies a session without a name.
 */
export type SessionKey = unknown;

/** A member that has, or just had, sessions on this isolate. */
export interface LocalMember {
  readonly id: string;
  readonly member: Member;
  readonly sessions: Map<SessionKey, JoinState>;
  /** Undefined as long as no session has a name. */
  names: SessionNames | undefined;
  /** JSON, as this isolate knows it. */
  data: string;
  /** Whether the store may have this isolate in the member's row. */
  isStored: boolean;
  /** Whether a write without an answer may still arrive. */
  isUncertain: boolean;
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
 * isolates removed it, until it joins again. `docs/design.md` has the diagram. The name of a session
 * has a grace period of its own, in which the member stays.
 */
export class LocalMembers {
  readonly #members = new Map<string, LocalMember>();
  /** When members without an accepted session leave. */
  readonly #leavesAtMs = new Map<LocalMember, number>();
  /** Members with listed names that have no session. */
  readonly #withLostNames = new Set<LocalMember>();
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
    const local: LocalMember = this.#members.get(id) ?? {
      id,
      member,
      sessions: new Map(),
      names: undefined,
      data: "null",
      isStored: false,
      isUncertain: false,
    };
    this.#members.set(id, local);
    const state = local.sessions.get(session) ?? new JoinState();
    local.sessions.set(session, state);
    if (session instanceof NamedSession) (local.names ??= new SessionNames()).startJoin(session);
    state.start();
    return { local, session, state };
  }

  acceptJoin({ local, session, state }: PendingJoin): void {
    state.accept();
    if (session instanceof NamedSession) local.names?.accept(session);
    if (local.sessions.size > 0) this.#leavesAtMs.delete(local);
  }

  /**
   * Removes a session that stays out. The member keeps what is left of its grace period, if any.
   */
  refuseJoin({ local, session, state }: PendingJoin, nowMs: number): void {
    const isOut = state.refuse() && local.sessions.get(session) === state;
    if (isOut) local.sessions.delete(session);
    if (session instanceof NamedSession) local.names?.refuse(session, isOut);
    this.#watchNames(local);
    if (!isOut || local.sessions.size > 0) return;
    if (!local.isStored) this.#forget(local);
    else if (!this.#leavesAtMs.has(local)) this.#scheduleLeave(local, nowMs);
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

  /** Records that the store has the member with this isolate, `data` and the `listed` names. */
  markStored(local: LocalMember, data: string, listed: readonly string[]): void {
    local.isStored = true;
    local.isUncertain = false;
    local.data = data;
    this.#reaped.delete(local);
    if (listed.length > 0) local.names ??= new SessionNames();
    local.names?.markListed(listed);
    this.#watchNames(local);
  }

  /** Records that a write without an answer may have stored the member, or may still do so. */
  markMaybeStored(local: LocalMember, joining: NamedSession | undefined): void {
    local.isStored = true;
    local.isUncertain = true;
    if (joining === undefined) return;
    (local.names ??= new SessionNames()).markMaybeListed(joining.name);
    this.#watchNames(local);
  }

  /** Records that a write without an answer may still remove the member or names. */
  markUncertain(local: LocalMember): void {
    local.isUncertain = true;
  }

  /**
   * Removes a session at its own request; without another one the member is due at once. A name
   * without another session is no longer {@link keptNames kept}.
   */
  leave(session: SessionKey, member: Member, nowMs: number): LocalMember | undefined {
    return this.#removeSession(session, member, nowMs, nowMs);
  }

  /** Does what {@link leave} does for all sessions of the name, also in its grace period. */
  leaveName(sessionName: string, member: Member, nowMs: number): LocalMember | undefined {
    const local = this.#members.get(memberId(member));
    if (local?.names === undefined) return undefined;
    const sessions = local.names.end(sessionName);
    for (const session of sessions) this.#removeSession(session, member, nowMs, nowMs);
    if (sessions.length === 0 && !local.names.hasGone(nowMs)) return undefined;
    this.#scheduleLeave(local, nowMs);
    return local;
  }

  /**
   * Removes a session whose connection was lost. The last one of the member and the last one of a
   * name leave the grace period.
   */
  disconnect(session: SessionKey, member: Member, nowMs: number): void {
    this.#removeSession(session, member, nowMs + GRACE_MS, nowMs + GRACE_MS);
  }

  /** Returns the members whose time to leave has come, and those with names that are not kept. */
  due(nowMs: number): readonly LocalMember[] {
    const due = new Set<LocalMember>();
    for (const [local, atMs] of this.#leavesAtMs) if (atMs <= nowMs) due.add(local);
    for (const local of this.#withLostNames) if (local.names?.hasGone(nowMs)) due.add(local);
    return [...due];
  }

  /** Returns whether the member still has no session, so that the store may forget it. */
  mayLeave(local: LocalMember, nowMs: number): boolean {
    const leavesAtMs = this.#leavesAtMs.get(local) ?? nowMs;
    return local.sessions.size === 0 && leavesAtMs <= nowMs &&
      this.#members.get(local.id) === local;
  }

  /** Returns the names of sessions that the store lists and that stay listed. */
  keptNames(local: LocalMember, nowMs: number): readonly string[] {
    return local.names?.kept(nowMs) ?? [];
  }

  /** Returns whether the store lists names that are no longer kept. */
  hasGoneNames(local: LocalMember, nowMs: number): boolean {
    return local.names?.hasGone(nowMs) ?? false;
  }

  /** Records the names that the store lists for this isolate. */
  markListed(local: LocalMember, listed: readonly string[]): void {
    local.isUncertain = false;
    local.names?.markListed(listed);
    this.#watchNames(local);
  }

  /** Records that the store no longer has this isolate in the member's row. */
  markLeft(local: LocalMember): void {
    local.isStored = local.isUncertain = false;
    local.names?.markListed([]);
    this.#watchNames(local);
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
    nameKeptUntilMs: number,
  ): LocalMember | undefined {
    const local = this.#members.get(memberId(member));
    if (local === undefined || !local.sessions.delete(session)) return undefined;
    if (session instanceof NamedSession) local.names?.remove(session, nameKeptUntilMs);
    this.#watchNames(local);
    this.#scheduleLeave(local, leavesAtMs);
    return local;
  }

  #scheduleLeave(local: LocalMember, atMs: number): void {
    if (local.sessions.size > 0) return;
    this.#leavesAtMs.set(local, Math.max(atMs, local.names?.keptUntilMs ?? atMs));
  }

  #watchNames(local: LocalMember): void {
    if (local.names?.hasLost) this.#withLostNames.add(local);
    else this.#withLostNames.delete(local);
  }

  #forget(local: LocalMember): void {
    if (this.#members.get(local.id) === local) this.#members.delete(local.id);
    this.#leavesAtMs.delete(local);
    this.#withLostNames.delete(local);
    this.#reaped.delete(local);
  }
}
