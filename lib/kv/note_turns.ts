/** Isolates that are remembered. Met: processes that come and go, and names that stay. */
const MAX_ISOLATES = 1_000;

/**
 * Which notes were told already. A commit whose answer was lost is sent again by the KV Connect
 * client, and leaves its rows twice; of one isolate they come in the order of its turns.
 */
export class NoteTurns {
  /** The last turn of each, the one that was quiet for the longest first. */
  readonly #last = new Map<string, number>();

  /** Whether this turn of `isolate` is a new one. From then on it isn't. */
  isNew(isolate: string, turn: number): boolean {
    const last = this.#last.get(isolate) ?? 0;
    if (turn <= last) return false;
    this.#last.delete(isolate);
    this.#last.set(isolate, turn);
    if (this.#last.size > MAX_ISOLATES) {
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest);
        break;
      }
    }
    return true;
  }
}
