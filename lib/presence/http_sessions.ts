import { Problem } from "../shared/problem.ts";
import { memberId } from "./member.ts";
import { type MemberSession, NamedSession } from "./named_session.ts";

/** How long an HTTP session lasts without a renewal. */
export const HTTP_SESSION_MS = 20_000;
/** Sessions of one isolate. Guards against requests that fill the memory with sessions. */
const MAX_SESSIONS = 50_000;

interface OpenHttpSession extends MemberSession {
  readonly named: NamedSession;
  /** Counts the session as one of its caller's connections. */
  readonly connection: Disposable;
  readonly expiresAtMs: number;
}

/** The HTTP sessions of this isolate, and when they expire. */
export class HttpSessions {
  readonly #monotonicNow: () => number;
  /** In the order in which they expire. */
  readonly #sessions = new Map<string, OpenHttpSession>();

  /** @param monotonicNow returns milliseconds of a clock that never jumps. */
  constructor(monotonicNow: () => number) {
    this.#monotonicNow = monotonicNow;
  }

  /**
   * Opens a session or renews it, for {@link HTTP_SESSION_MS} from now, and returns it. It may join
   * without being listed: clients that know nothing of the list can open any number of sessions.
   *
   * @param connect counts a new session as a connection.
   * @throws {Problem} `overloaded`; what `connect` throws
   */
  renew(session: MemberSession, connect: () => Disposable): NamedSession {
    const key = keyOf(session);
    const open = this.#sessions.get(key);
    if (open === undefined && this.#sessions.size >= MAX_SESSIONS) {
      throw new Problem("overloaded", "Too many members without a WebSocket on this server.");
    }
    const connection = open?.connection ?? connect();
    this.#sessions.delete(key);
    const expiresAtMs = this.#monotonicNow() + HTTP_SESSION_MS;
    const named = open?.named ?? new NamedSession(session.sessionName, false);
    this.#sessions.set(key, { ...session, named, connection, expiresAtMs });
    return named;
  }

  end(session: MemberSession): void {
    const key = keyOf(session);
    this.#sessions.get(key)?.connection[Symbol.dispose]();
    this.#sessions.delete(key);
  }

  /** Ends the sessions that have expired, and returns them. */
  takeExpired(): readonly OpenHttpSession[] {
    const expired: OpenHttpSession[] = [];
    for (const session of this.#sessions.values()) {
      if (session.expiresAtMs > this.#monotonicNow()) break;
      expired.push(session);
    }
    for (const session of expired) this.end(session);
    return expired;
  }

  /** Ends all sessions. */
  close(): void {
    for (const { connection } of this.#sessions.values()) connection[Symbol.dispose]();
    this.#sessions.clear();
  }
}

function keyOf({ member, sessionName }: MemberSession): string {
  return `${memberId(member)}\0${sessionName}`;
}
