/** Does what concerns one key in the order of the calls, one after the other. */
export class Serial {
  readonly #last = new Map<string, Promise<unknown>>();

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const turn = before === undefined ? work() : before.then(work, work);
    this.#last.set(key, turn);
    const settled = () => {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    };
    turn.then(settled, settled); // whoever called hears of a failure
    return turn;
  }

  /** Once all that was asked for so far is done, or has failed. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }
}

/** Does `work` for all of `items`, up to `atOnce` of them at a time. `work` must not fail. */
export async function forAll<T>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
