/** A value that changes. It can be read at any time, also by `useSyncExternalStore`. */
export interface Observable<T> {
  readonly value: T;
  /** Calls `listener` after each change, not at once; gives what ends that. */
  subscribe(listener: (value: T) => void): () => void;
}

/** An {@link Observable} that its owner sets. */
export class ObservableValue<T> implements Observable<T> {
  readonly #listeners = new Set<(value: T) => void>();
  #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    this.#value = value;
    for (const listener of this.#listeners) {
      // Not where a listener has set another, which all know.
      if (this.#value === value) void runCallback(() => listener(value));
    }
  }

  subscribe(listener: (value: T) => void): () => void {
    const own = (value: T) => listener(value); // the same function may be given twice
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }
}

/**
 * Calls the application, and resolves when it is done. What it throws or rejects with is an uncaught
 * error of its own, as in an event listener, and does not disturb the connection.
 */
export async function runCallback(call: () => unknown): Promise<void> {
  try {
    await call();
  } catch (cause) {
    queueMicrotask(() => {
      throw cause;
    });
  }
}
