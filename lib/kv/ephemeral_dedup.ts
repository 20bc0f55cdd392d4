/** Isolates that are remembered. Guards against many short-lived processes filling the memory. */
const MAX_ISOLATES = 1_000;

interface LastCommit {
  readonly commitNumber: number;
  readonly lagMs: number;
}

/**
 * Decides which journal rows with ephemeral events are delivered. The KV Connect client repeats a
 * commit whose answer was lost, which leaves its rows twice; rows of one isolate arrive in the order
 * of their commit numbers. A row that was delayed is recognized by its lag, compared with the row before it,
 * so the clocks of two machines need not agree.
 */
export class EphemeralDedup {
  /** The last commit of each isolate. Those that have been quiet the longest come first. */
  readonly #last = new Map<string, LastCommit>();

  /**
   * Returns whether this commit of `isolate` is new and arrived in time.
   *
   * @param lagMs difference between the sender's clock when it sent and the reader's clock now;
   * only its change from one commit to the next has a meaning.
   * @param maxDelayMs how much longer than that of the commit before the lag may be.
   */
  accepts(isolate: string, commitNumber: number, lagMs: number, maxDelayMs: number): boolean {
    const last = this.#last.get(isolate) ?? { commitNumber: 0, lagMs };
    if (commitNumber <= last.commitNumber) return false;
    this.#last.delete(isolate);
    this.#last.set(isolate, { commitNumber, lagMs });
    if (this.#last.size > MAX_ISOLATES) {
      const [oldest] = this.#last.keys();
      if (oldest !== undefined) this.#last.delete(oldest);
    }
    return lagMs - last.lagMs <= maxDelayMs;
  }
}
