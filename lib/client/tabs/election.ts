import { onAbort } from "../core/on_abort.ts";
import { PLATFORM } from "../core/platform.ts";

/**
 * How long a leader may leave a "hello" unanswered before a visible tab takes the lead. Guards
 * against a tab that the system has frozen while it holds the lock.
 */
const LEADER_TIMEOUT_MS = 5_000;

interface ElectionOptions {
  /** Name of the lock, shared by all tabs. */
  readonly name: string;
  /** Id of this tab. */
  readonly tab: string;
  /** Aborts when this tab no longer takes part. */
  readonly signal: AbortSignal;
  /** Asks the leader for a response. */
  readonly hello: () => void;
  readonly isLeading: () => boolean;
  /** Takes the lead. Resolves when this tab gives it up. */
  readonly lead: () => Promise<void>;
  /** Another tab has taken the lead. */
  readonly onLost: () => void;
}

/** Decides which tab leads, by Web Locks: the leader holds the lock of the tabs' name. */
export class Election {
  readonly #options: ElectionOptions;
  /** Whether the leader was asked for a response and has not given one. */
  #isAsked = false;

  constructor(options: ElectionOptions) {
    this.#options = options;
    const { name, tab, signal, hello, lead } = options;
    const timer = setInterval(() => this.#checkLeader(), LEADER_TIMEOUT_MS);
    onAbort(signal, () => clearInterval(timer));
    // This tab exists as long as it holds the lock of its own id.
    navigator.locks.request(name + tab, () => {
      hello();
      this.#queue({ signal });
      return new Promise<void>((resolve) => onAbort(signal, resolve));
    }).catch(() => lead()); // the page may not use locks: it connects by itself
  }

  /** The leader has given a response. */
  leaderIsAlive(): void {
    this.#isAsked = false;
  }

  /** Calls `onGone` when another tab no longer exists. */
  watchTab(other: string, onGone: () => void): void {
    const { name, tab, signal } = this.#options;
    if (other === tab) return;
    navigator.locks.request(name + other, { signal }, onGone)
      .catch(() => {}); // this tab ends first
  }

  /** Leads once it has the lock, and again when it gets the lock back after losing it. */
  #queue(options: LockOptions): void {
    const { name, signal, lead, onLost } = this.#options;
    navigator.locks.request(name, options, lead).catch((cause) => {
      if (signal.aborted || cause.name !== "AbortError") return;
      onLost();
      if (!options.steal) this.#queue(options); // a tab that steals is waiting for its turn too
    });
  }

  /** Takes the lead from a tab that gives no response, if this tab is visible. */
  #checkLeader(): void {
    const { hello, isLeading } = this.#options;
    const isNeeded = !isLeading() && !PLATFORM.isHidden();
    if (isNeeded && this.#isAsked) this.#queue({ steal: true });
    this.#isAsked = isNeeded && !this.#isAsked;
    if (this.#isAsked) hello();
  }
}
