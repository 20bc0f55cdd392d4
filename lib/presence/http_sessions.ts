import { Problem } from "../shared/problem.ts";
import type { Place } from "./member.ts";

/** How long a session of a client without a connection is good for, in ms. */
export const SESSION_MS = 20_000;
/** Sessions of an isolate. Met: requests that fill memory with them. */
const MAX_SESSIONS = 50_000;

/** One of a member, by the name that its client gave it. */
export interface HttpSession {
  readonly place: Place;
  readonly name: string;
}

interface Kept extends HttpSession {
  readonly connection: Disposable;
  readonly dueAt: number;
}

/** Which sessions of clients without a connection this isolate has, and until when. */
export class HttpSessions {
  readonly #ticks: () => number;
  /** In the order of their ends. */
  readonly #kept = new Map<string, Kept>();

  /** @param ticks milliseconds of a clock that never jumps. */
  constructor(ticks: () => number) {
    this.#ticks = ticks;
  }

  /**
   * Keeps the session from now on for its time.
   *
   * @param connect counts a session that isn't kept yet.
   * @throws {Problem} `overloaded`; what `connect` throws
   */
  keep(session: HttpSession, connect: () => Disposable): void {
    const key = keyOf(session);
    const known = this.#kept.get(key);
    if (known === undefined && this.#kept.size >= MAX_SESSIONS) {
      throw new Problem("overloaded", "Too many sessions of members without a WebSocket.");
    }
    const connection = known?.connection ?? connect();
    this.#kept.delete(key);
    this.#kept.set(key, { ...session, connection, dueAt: this.#ticks() + SESSION_MS });
  }

  end(session: HttpSession): void {
    const key = keyOf(session);
    this.#kept.get(key)?.connection[Symbol.dispose]();
    this.#kept.delete(key);
  }

  /** Ends those whose time is over, and answers them. */
  takeLapsed(): readonly HttpSession[] {
    const lapsed: HttpSession[] = [];
    for (const kept of this.#kept.values()) {
      if (kept.dueAt > this.#ticks()) break;
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

function keyOf({ place: { channelKey, member }, name }: HttpSession): string {
  return `${channelKey}\0${member}\0${name}`;
}
