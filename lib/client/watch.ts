import type { Platform } from "./platform.ts";

/** How long an answer may take where a silence is not known to be one, in ms. */
const CHECK_MS = 5_000;

/** How many heartbeats of silence are the end. */
export const PATIENCE = 2;

/** Bounds of a heartbeat, in ms. Met: a server that makes its clients ask without end, or never. */
const MIN_HEARTBEAT_MS = 100;
const MAX_HEARTBEAT_MS = 600_000;

/** What the server says that its heartbeat is, in ms, or what was `known` where that is none. */
export function heartbeatOf(said: unknown, known: number): number {
  const milliseconds = Number(said);
  return milliseconds >= MIN_HEARTBEAT_MS && milliseconds <= MAX_HEARTBEAT_MS
    ? milliseconds
    : known;
}

export interface WatchOptions {
  readonly platform: Platform;
  /** Milliseconds. */
  readonly timing: { readonly heartbeat: number };
  /** Asks the other end for a word, where that can be. */
  readonly ask?: () => void;
  /** Nothing came. */
  readonly dead: () => void;
}

/**
 * Watches for silence: after a heartbeat of it the other end is asked, and given the rest of the
 * time. A timer that is late (the machine slept, or the page was throttled) proves nothing: then
 * the other end is asked first.
 */
export class Watch {
  readonly #options: WatchOptions;
  #heard: number;
  #isAsked = false;
  #due = 0;
  #timer: unknown;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#heard = options.platform.now();
    this.#arm(options.timing.heartbeat);
  }

  heard(): void {
    this.#heard = this.#options.platform.now();
    this.#isAsked = false;
  }

  /** Asks now. Without a way to ask it only looks for what is overdue. */
  check(): void {
    const { ask, timing } = this.#options;
    if (ask !== undefined || this.#quiet > timing.heartbeat) this.#ask(CHECK_MS);
  }

  stop(): void {
    this.#options.platform.clearTimeout(this.#timer);
  }

  get #quiet(): number {
    return this.#options.platform.now() - this.#heard;
  }

  #look(): void {
    const { platform, timing, dead } = this.#options;
    const isLate = platform.now() - this.#due > timing.heartbeat / 2 + 500;
    if (isLate) return this.#ask(CHECK_MS);
    if (this.#isAsked) return dead();
    const quiet = this.#quiet;
    if (quiet < timing.heartbeat) this.#arm(timing.heartbeat - quiet);
    else this.#ask(timing.heartbeat * PATIENCE - quiet);
  }

  #ask(limit: number): void {
    this.#isAsked = true;
    this.#options.ask?.();
    this.#arm(Math.min(limit, this.#options.timing.heartbeat * PATIENCE));
  }

  #arm(milliseconds: number): void {
    const { platform } = this.#options;
    this.stop();
    this.#due = platform.now() + milliseconds;
    this.#timer = platform.setTimeout(() => this.#look(), milliseconds);
  }
}
