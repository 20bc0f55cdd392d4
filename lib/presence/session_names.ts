import type { NamedSession } from "./named_session.ts";

/** A name that one member's sessions on this isolate have, or had when they were lost. */
interface LocalName {
  readonly sessions: Set<NamedSession>;
  pendingJoins: number;
  /** Until when the name stays listed without a session. */
  keptUntilMs: number;
}

/**
 * The names of one member's sessions on this isolate. Decides which of them the member's row lists;
 * callers do the writes.
 */
export class SessionNames {
  readonly #names = new Map<string, LocalName>();
  /** The names that the row lists for this isolate, or may list. Others may be many. */
  readonly #listed = new Set<string>();

  /** Adds a session and a call to join, which ends with {@link accept} or {@link refuse}. */
  startJoin(session: NamedSession): void {
    const name = this.#nameOf(session.name);
    name.sessions.add(session);
    name.pendingJoins++;
  }

  /** Ends the name's grace period, unless the session was lost while it joined. */
  accept(session: NamedSession): void {
    const name = this.#nameOf(session.name);
    if (name.sessions.has(session)) name.keptUntilMs = -Infinity;
    this.#endJoin(session.name, name);
  }

  /** @param isOut whether the session stays out; its name keeps the rest of its grace period. */
  refuse(session: NamedSession, isOut: boolean): void {
    const name = this.#nameOf(session.name);
    if (isOut) name.sessions.delete(session);
    this.#endJoin(session.name, name);
  }

  /** Removes a session. Without another one the name stays listed until `keptUntilMs`. */
  remove(session: NamedSession, keptUntilMs: number): void {
    const name = this.#nameOf(session.name);
    if (name.sessions.delete(session)) name.keptUntilMs = keptUntilMs;
    this.#forgetUnused(session.name, name);
  }

  /** Ends the name's grace period, and returns its sessions. */
  end(sessionName: string): readonly NamedSession[] {
    const name = this.#names.get(sessionName);
    if (name === undefined) return [];
    name.keptUntilMs = -Infinity;
    return [...name.sessions];
  }

  /** Returns the listed names that stay listed: they have a session, or their grace period. */
  kept(nowMs: number): readonly string[] {
    return [...this.#listed].filter((sessionName) => !this.#isGone(sessionName, nowMs));
  }

  /** Returns whether names have to be removed from the list now. */
  hasGone(nowMs: number): boolean {
    return this.#listed.values().some((sessionName) => this.#isGone(sessionName, nowMs));
  }

  /** Whether listed names have no session. */
  get hasLost(): boolean {
    return this.#listed.values().some((sessionName) => this.#isGone(sessionName, Infinity));
  }

  /** When the last grace period of a listed name without a session ends. */
  get keptUntilMs(): number {
    let latestMs = -Infinity;
    for (const sessionName of this.#listed) {
      const { sessions, keptUntilMs } = this.#nameOf(sessionName);
      if (sessions.size === 0) latestMs = Math.max(latestMs, keptUntilMs);
    }
    return latestMs;
  }

  /** Records what the row lists for this isolate. */
  markListed(listed: readonly string[]): void {
    const before = [...this.#listed];
    this.#listed.clear();
    for (const sessionName of listed) this.markMaybeListed(sessionName);
    for (const sessionName of before) {
      this.#forgetUnused(sessionName, this.#nameOf(sessionName));
    }
  }

  /** Records that a write without an answer may have listed the name, or may still do so. */
  markMaybeListed(sessionName: string): void {
    this.#nameOf(sessionName);
    this.#listed.add(sessionName);
  }

  #nameOf(sessionName: string): LocalName {
    const name = this.#names.get(sessionName) ??
      { sessions: new Set(), pendingJoins: 0, keptUntilMs: -Infinity };
    this.#names.set(sessionName, name);
    return name;
  }

  #isGone(sessionName: string, nowMs: number): boolean {
    const { sessions, keptUntilMs } = this.#nameOf(sessionName);
    return sessions.size === 0 && keptUntilMs <= nowMs;
  }

  #endJoin(sessionName: string, name: LocalName): void {
    name.pendingJoins--;
    this.#forgetUnused(sessionName, name);
  }

  #forgetUnused(sessionName: string, { sessions, pendingJoins }: LocalName): void {
    if (sessions.size > 0 || pendingJoins > 0 || this.#listed.has(sessionName)) return;
    this.#names.delete(sessionName);
  }
}
