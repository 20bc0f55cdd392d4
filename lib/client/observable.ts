import type { Observable } from "./api.ts";

/** An {@link Observable} that its owner sets. */
export class Value<T> implements Observable<T> {
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
    for (const listener of this.#listeners) callback(() => listener(value));
  }

  subscribe(listener: (value: T) => void): () => void {
    const own = (value: T) => listener(value); // the same function may be given twice
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }
}

/**
 * Calls the application. What it throws is an uncaught error of its own, as in an event listener,
 * and does not disturb the connection.
 */
export function callback(call: () => void): void {
  try {
    call();
  } catch (cause) {
    queueMicrotask(() => {
      throw cause;
    });
  }
}
