import { unreachableError } from "../core/errors.ts";
import type { ConnectionContext } from "../connection/transport.ts";
import type { WeirError } from "../core/weir_error.ts";
import { timeoutError } from "../core/deadline.ts";

/** How long an answer may take where a silence is not known to be one, in ms. */
const CHECK_MS = 5_000;

/** How many heartbeats of silence are the end. */
export const MAX_SILENT_HEARTBEATS = 2;

/** Bounds of a heartbeat, in ms. Met: a server that makes its clients ask without end, or never. */
const MIN_HEARTBEAT_MS = 100;
const MAX_HEARTBEAT_MS = 600_000;

/** What the server says that its heartbeat is, in ms, or what was `known` where that is none. */
export function parseHeartbeat(said: unknown, known: number): number {
  const milliseconds = Number(said);
  return milliseconds >= MIN_HEARTBEAT_MS && milliseconds <= MAX_HEARTBEAT_MS
    ? milliseconds
    : known;
}

/**
 * Watches for silence: after a heartbeat of it the other end is asked, and given the rest of the
 * time. A timer that is late (the machine slept, or the page was throttled) proves nothing: then
 * the other end is asked first.
 */
export class SilenceWatch {
  readonly #shared: Pick<ConnectionContext, "platform" | "timing">;
  readonly #dead: (error: WeirError) => void;
  readonly #inquire: (() => void) | undefined;
  #heard: number;
  #isAsked = false;
  #due = 0;
  #timer: unknown;

  /**
   * @param dead nothing came.
   * @param inquire asks the other end for a word, where that can be.
   */
  constructor(
    shared: Pick<ConnectionContext, "platform" | "timing">,
    dead: (error: WeirError) => void,
    inquire?: () => void,
  ) {
    this.#shared = shared;
    this.#dead = dead;
    this.#inquire = inquire;
    this.#heard = shared.platform.now();
    this.#arm(shared.timing.heartbeatMs);
  }

  heard(): void {
    this.#heard = this.#shared.platform.now();
    this.#isAsked = false;
  }

  /** Asks now. Without a way to ask it only looks for what is overdue. */
  check(): void {
    const isOverdue = this.#quiet() > this.#shared.timing.heartbeatMs;
    if (this.#inquire !== undefined || isOverdue) this.#ask(CHECK_MS);
  }

  stop(): void {
    this.#shared.platform.clearTimeout(this.#timer);
  }

  #quiet(): number {
    const now = this.#shared.platform.now();
    this.#heard = Math.min(this.#heard, now); // the clock may have been set back
    return now - this.#heard;
  }

  #look(): void {
    const { platform, timing: { heartbeatMs: heartbeat } } = this.#shared;
    const quiet = this.#quiet();
    const isLate = platform.now() - this.#due > heartbeat / 2 + 500;
    if (isLate) this.#ask(CHECK_MS);
    else if (this.#isAsked) {
      this.#dead(unreachableError("Nothing comes any more.", timeoutError(quiet)));
    } else if (quiet < heartbeat) this.#arm(heartbeat - quiet);
    else this.#ask(heartbeat * MAX_SILENT_HEARTBEATS - quiet);
  }

  #ask(limit: number): void {
    this.#isAsked = true;
    this.#inquire?.();
    this.#arm(Math.min(limit, this.#shared.timing.heartbeatMs * MAX_SILENT_HEARTBEATS));
  }

  #arm(milliseconds: number): void {
    const { platform } = this.#shared;
    this.stop();
    this.#due = platform.now() + milliseconds;
    this.#timer = platform.setTimeout(() => this.#look(), milliseconds);
  }
}
