/**
 * A value that changes. It can be read at any time and is the same object until it changes, as
 * React's `useSyncExternalStore` needs it. `subscribe` follows the contract of Svelte's stores.
 */
export interface Observable<T> {
  readonly value: T;
  /**
   * Calls `listener` with the value, before it returns, and after each change. Returns a function
   * that stops it. It needs no `this`.
   */
  readonly subscribe: (listener: (value: T) => void) => () => void;
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
      // A listener may have set another value, which all listeners have received already.
      if (this.#value === value) void runCallback(() => listener(value));
    }
  }

  readonly subscribe = (listener: (value: T) => void): () => void => {
    listener(this.#value);
    return this.onChange(listener);
  };

  /**
   * Calls `listener` after each change. Returns a function that stops it.
   *
   * @internal
   */
  onChange(listener: (value: T) => void): () => void {
    const own = (value: T) => listener(value); // the same function may subscribe twice
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }
}

/**
 * Calls the application and resolves once the call has settled. Its errors become uncaught errors,
 * as in an event listener, and do not disturb the connection.
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
