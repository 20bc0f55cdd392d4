import type { Log } from "../log/log.ts";
import type { ChannelKey } from "../shared/channel.ts";
import type { Offset } from "../shared/offset.ts";
import { Problem } from "../shared/problem.ts";
import { withinLimit } from "../shared/time_limit.ts";
import { Departures, LOOK_MS } from "./departures.ts";
import { type HttpSession, HttpSessions } from "./http_sessions.ts";
import { IsolateLease } from "./isolate_lease.ts";
import type { Place } from "./member.ts";
import { MemberRows, presenceAddress, type Snapshot } from "./member_rows.ts";
import { askToPart, takePartings } from "./partings.ts";
import { forAll, Serial } from "../shared/serial.ts";
import { placesOf } from "./stays.ts";

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
  readonly ticks?: () => number;
  /** From 0 to 1. @default {Math.random} */
  readonly random?: () => number;
  /** Milliseconds between two looks at what is due; 0: none but by {@link Presence.beat}. */
  readonly interval?: number;
}

/** One session of a member, from its first `enter` on. */
interface SessionState {
  /** It was let in. */
  isIn: boolean;
  /** Calls of `enter` without their answer. */
  calls: number;
}

/** A member that this isolate has. */
interface Held {
  readonly key: string;
  readonly place: Place;
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
  readonly #ticks: () => number;
  readonly #rows: MemberRows;
  readonly #lease: IsolateLease;
  readonly #departures: Departures;
  readonly #http: HttpSessions;
  readonly #turns = new Serial();
  readonly #held = new Map<string, Held>();
  /** Those without a session that was let in, and when they leave unless one is. */
  readonly #leaving = new Map<Held, number>();
  /** Those that others took out, since they took this isolate for dead. */
  readonly #astray = new Set<Held>();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  readonly #jobs = new Map<string, Promise<void>>();
  #lookedAt = -Infinity;
  #tidiedAt: number;
  #isClosed = false;

  constructor(options: PresenceOptions) {
    const { kv, log, isOneMachine, now = Date.now, random = Math.random } = options;
    const ticks = this.#ticks = options.ticks ?? (() => performance.now());
    this.#tidiedAt = ticks();
    this.#options = options;
    this.#rows = new MemberRows({ kv, log, now, random });
    this.#http = new HttpSessions(ticks);
    this.#lease = new IsolateLease({ kv, now, ticks, onLost: () => this.#lost() });
    this.#departures = new Departures({
      kv,
      isOneMachine,
      now,
      ticks,
      takeOut: (place, isolate) => {
        return this.#turns.run(keyOf(place), () => this.#rows.leave(place, isolate));
      },
    });
    const { interval = BEAT_MS } = options;
    if (interval > 0) this.#timer = setInterval(() => void this.beat(), interval);
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
  async enter(session: unknown, place: Place, data?: string): Promise<Offset> {
    if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
    presenceAddress(place.channelKey); // says what is wrong with it before anything is kept
    const held = this.#hold(place);
    const state = held.sessions.get(session) ?? { isIn: false, calls: 0 };
    held.sessions.set(session, state);
    state.calls++;
    try {
      const offset = await this.#turns.run(held.key, () => this.#enter(held, data));
      state.isIn = true;
      if (held.sessions.size > 0) this.#leaving.delete(held);
      return offset;
    } catch (cause) {
      const isOut = !state.isIn && state.calls === 1; // else another call may yet let it in
      if (isOut && held.sessions.get(session) === state) this.#refused(session, held);
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
  async leave(session: unknown, place: Place): Promise<void> {
    const held = this.#held.get(keyOf(place));
    if (held === undefined || !held.sessions.delete(session)) return;
    this.#leaveAfter(held, 0);
    await this.#turns.run(held.key, () => this.#leave(held));
  }

  /** The session has ended without a word: the member leaves too, unless it comes back in time. */
  lose(session: unknown, place: Place): void {
    const held = this.#held.get(keyOf(place));
    if (held?.sessions.delete(session)) this.#leaveAfter(held, GRACE_MS);
  }

  /**
   * As {@link enter}, for a session that ends by its time unless this is said again.
   *
   * @param connect counts the session until it ends.
   * @throws {Problem} as {@link enter}, and as {@link HttpSessions.keep}
   */
  async keep(
    session: HttpSession,
    data: string | undefined,
    connect: () => Disposable,
  ): Promise<Offset> {
    if (this.#isClosed) throw new Problem("shutting_down", "This server is stopping.");
    const { place, name } = session;
    this.#http.keep(session, connect);
    try {
      return await this.enter(name, place, data);
    } finally {
      if (!this.#held.get(keyOf(place))?.sessions.has(name)) this.#http.end(session);
    }
  }

  /**
   * Ends such a session, whichever isolate has it: another one within seconds.
   *
   * @throws {Problem} as {@link leave}
   */
  async part(session: HttpSession): Promise<void> {
    await this.#part(session);
    for (const isolate of await this.#rows.isolatesOf(session.place)) {
      if (isolate !== this.#lease.id) await askToPart(this.#options.kv, isolate, session);
    }
  }

  /** Who is in the channel. @throws {Problem} `bad_channel`, `storage_*` */
  members(channelKey: ChannelKey): Promise<Snapshot> {
    return this.#rows.snapshot(channelKey);
  }

  /** Does what is due: that which is still under way from before goes on. */
  async beat(): Promise<void> {
    if (this.#isClosed) return;
    for (const { place, name } of this.#http.takeLapsed()) this.lose(name, place);
    const { kv } = this.#options;
    const isLookDue = this.#ticks() - this.#lookedAt >= LOOK_MS;
    if (isLookDue) this.#lookedAt = this.#ticks();
    const isTidyDue = this.#ticks() - this.#tidiedAt >= TIDY_MS;
    if (isTidyDue) this.#tidiedAt = this.#ticks();
    await Promise.all([
      this.#job("members could not leave", () => this.#leaveDue()),
      this.#job("the lease of members could not be renewed", () => this.#prolong()),
      isLookDue && this.#job("members of other isolates could not be looked at", () => {
        return this.#departures.look(this.#lease.id);
      }),
      isLookDue && this.#held.size > 0 && this.#job("sessions could not be ended", () => {
        return takePartings(kv, this.#lease.id, (session) => this.#part(session));
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
    await withinLimit(warned, CLOSE_MS);
  }

  #hold(place: Place): Held {
    const key = keyOf(place);
    const held: Held = this.#held.get(key) ??
      { key, place, sessions: new Map(), data: "null", isWritten: false };
    this.#held.set(key, held);
    return held;
  }

  /** A session was not let in: the member stays for what it has of its grace time, if any. */
  #refused(session: unknown, held: Held): void {
    held.sessions.delete(session);
    if (held.sessions.size > 0) return;
    if (!held.isWritten) this.#forget(held);
    else if (!this.#leaving.has(held)) this.#leaveAfter(held, 0);
  }

  #forget(held: Held): void {
    if (this.#held.get(held.key) === held) this.#held.delete(held.key);
    this.#leaving.delete(held);
    this.#astray.delete(held);
  }

  async #part(session: HttpSession): Promise<void> {
    this.#http.end(session);
    await this.leave(session.name, session.place);
  }

  async #enter(asked: Held, data: string | undefined): Promise<Offset> {
    const held = this.#held.get(asked.key) ?? asked;
    if (!this.#held.has(held.key)) { // it left, came back and left again before its turn
      this.#held.set(held.key, held);
      this.#leaveAfter(held, 0);
    }
    await this.#lease.hold();
    try {
      const row = await this.#rows.enter(held.place, this.#lease.id, data, held.data);
      held.isWritten = true;
      held.data = row.data;
      this.#astray.delete(held);
      return row.offset;
    } catch (cause) {
      if (mayBeWritten(cause)) {
        held.isWritten = true;
        this.#lease.doubt();
      }
      throw cause;
    }
  }

  /** If nobody has come meanwhile. */
  async #leave(held: Held): Promise<void> {
    if (held.sessions.size > 0 || this.#held.get(held.key) !== held) return;
    await this.#rows.leave(held.place, this.#lease.id);
    held.isWritten = false;
    if (held.sessions.size === 0) this.#forget(held); // else theirs is the next turn
  }

  #leaveAfter(held: Held, milliseconds: number): void {
    if (held.sessions.size === 0) this.#leaving.set(held, this.#ticks() + milliseconds);
  }

  async #leaveDue(): Promise<void> {
    const due = [...this.#leaving].filter(([, at]) => at <= this.#ticks());
    await forAll(due, AT_ONCE, async ([held]) => {
      await this.#turns.run(held.key, () => this.#leave(held))
        .catch((cause) => this.#options.onWarning("a member could not leave yet", cause));
    });
  }

  async #prolong(): Promise<void> {
    if (this.#held.size === 0) return await this.#lease.release(() => this.#held.size === 0);
    await this.#lease.hold();
    await forAll([...this.#astray], AT_ONCE, async (held) => {
      await this.#turns.run(held.key, () => this.#return(held))
        .catch((cause) => this.#options.onWarning("a member could not return yet", cause));
    });
  }

  /** Takes out who is here by the rows and by no session. */
  async #tidy(): Promise<void> {
    const places = await placesOf(this.#options.kv, this.#lease.id);
    const left = places.filter((place) => !this.#held.has(keyOf(place)));
    await forAll(left, AT_ONCE, async (place) => {
      const key = keyOf(place);
      const leave = async () => {
        if (!this.#held.has(key)) await this.#rows.leave(place, this.#lease.id);
      };
      await this.#turns.run(key, leave)
        .catch((cause) =>
          this.#options.onWarning("a member that came late could not leave", cause)
        );
    });
  }

  #lost(): void {
    for (const held of this.#held.values()) this.#astray.add(held);
  }

  async #return(held: Held): Promise<void> {
    if (held.sessions.size > 0 && this.#astray.has(held)) await this.#enter(held, undefined);
    else this.#astray.delete(held);
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

function keyOf({ channelKey, member }: Place): string {
  return `${channelKey}\0${member}`;
}

/** Whether what failed so may be in the store all the same, or come there later. */
function mayBeWritten(cause: unknown): boolean {
  if (!(cause instanceof Problem)) return true;
  return cause.code === "commit_unknown" || cause.code.startsWith("storage_");
}
