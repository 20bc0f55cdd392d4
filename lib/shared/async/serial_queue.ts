/** Runs asynchronous work one after the other, in the order of the calls. */
export class SerialQueue {
  #last: Promise<unknown> | undefined;

  /** Whether nothing is running or waiting. */
  get isIdle(): boolean {
    return this.#last === undefined;
  }

  /**
   * Starts `work` once all work before it has resolved or rejected, at once if there is none.
   *
   * @returns what `work` returns. A rejection that the caller does not handle is ignored.
   */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last === undefined ? work() : this.#last.then(work, work);
    this.#last = result;
    const settled = () => {
      if (this.#last === result) this.#last = undefined;
    };
    result.then(settled, settled); // the caller handles a rejection
    return result;
  }

  /** Resolves once all work so far has resolved or rejected. */
  async idle(): Promise<void> {
    await Promise.allSettled([this.#last]);
  }
}

/** A {@link SerialQueue} for each key; work of different keys runs at the same time. */
export class KeyedSerialQueue {
  readonly #queues = new Map<string, SerialQueue>();

  /** Starts `work` once all earlier work of the same key has resolved or rejected. */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(key) ?? new SerialQueue();
    this.#queues.set(key, queue);
    const result = queue.run(work);
    const settled = () => {
      if (queue.isIdle) this.#queues.delete(key);
    };
    result.then(settled, settled);
    return result;
  }

  /** Resolves once all work so far, of all keys, has resolved or rejected. */
  async idle(): Promise<void> {
    await Promise.all(Array.from(this.#queues.values(), (queue) => queue.idle()));
  }
}
