import { Problem } from "../shared/problem.ts";
import { type Member, memberId } from "./member.ts";

/** How long a session of a client without a connection is good for, in ms. */
export const HTTP_SESSION_MS = 20_000;
/** Sessions of an isolate. Met: requests that fill memory with them. */
const MAX_SESSIONS = 50_000;

/** One of a member, by the name that its client gave it. */
export interface HttpSession {
  readonly member: Member;
  readonly sessionName: string;
}

interface Kept extends HttpSession {
  readonly connection: Disposable;
  readonly dueAt: number;
}

/** Which sessions of clients without a connection this isolate has, and until when. */
export class HttpSessions {
  readonly #monotonicNow: () => number;
  /** In the order of their ends. */
  readonly #kept = new Map<string, Kept>();

  /** @param monotonicNow milliseconds of a clock that never jumps. */
  constructor(monotonicNow: () => number) {
    this.#monotonicNow = monotonicNow;
  }

  /**
   * Keeps the session from now on for its time.
   *
   * @param connect counts a session that isn't kept yet.
   * @throws {Problem} `overloaded`; what `connect` throws
   */
  renew(session: HttpSession, connect: () => Disposable): void {
    const key = keyOf(session);
    const known = this.#kept.get(key);
    if (known === undefined && this.#kept.size >= MAX_SESSIONS) {
      throw new Problem("overloaded", "Too many sessions of members without a WebSocket.");
    }
    const connection = known?.connection ?? connect();
    this.#kept.delete(key);
    this.#kept.set(key, { ...session, connection, dueAt: this.#monotonicNow() + HTTP_SESSION_MS });
  }

  end(session: HttpSession): void {
    const key = keyOf(session);
    this.#kept.get(key)?.connection[Symbol.dispose]();
    this.#kept.delete(key);
  }

  /** Ends those whose time is over, and answers them. */
  takeExpired(): readonly HttpSession[] {
    const lapsed: HttpSession[] = [];
    for (const kept of this.#kept.values()) {
      if (kept.dueAt > this.#monotonicNow()) break;
      lapsed.push(kept);
    }
    for (const session of lapsed) this.end(session);
    return lapsed;
  }

  /** Ends all. */
  close(): void {
    for (const { connection } of this.#kept.values()) connection[Symbol.dispose]();
    this.#kept.clear();
  }
}

function keyOf({ member, sessionName }: HttpSession): string {
  return `${memberId(member)}\0${sessionName}`;
}
