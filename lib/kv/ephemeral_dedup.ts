/** Isolates that are remembered. Met: processes that come and go, and names that stay. */
const MAX_ISOLATES = 1_000;

interface Last {
  readonly turn: number;
  readonly lag: number;
}

/** Which rows of notes are to be told, by those of the same isolate before them. */
export class EphemeralDedup {
  /** The last row of each, the one that was quiet for the longest first. */
  readonly #last = new Map<string, Last>();

  /**
   * Whether the notes of this turn of `isolate` are new and came in time. A commit whose answer was
   * lost is sent again by the KV Connect client, and leaves its rows twice; of one isolate they come
   * in the order of its turns. One that was held up came late against the one before it, whatever
   * the clocks of two machines say.
   *
   * @param lag milliseconds from what the sender's clock said of it to what the reader's says now:
   * of clocks that agree on nothing but how fast they go.
   * @param limit by how much in ms it may be longer than that of the turn before.
   */
  accepts(isolate: string, turn: number, lag: number, limit: number): boolean {
    const last = this.#last.get(isolate) ?? { turn: 0, lag };
    if (turn <= last.turn) return false;
    this.#last.delete(isolate);
    this.#last.set(isolate, { turn, lag });
    if (this.#last.size > MAX_ISOLATES) {
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest);
        break;
      }
    }
    return lag - last.lag <= limit;
  }
}
