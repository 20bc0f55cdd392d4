import { LIMIT } from "./until.ts";

interface Taker<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (cause: unknown) => void;
}

/** A queue of values that arrive, which a test takes one at a time. */
export class Queue<T> {
  readonly #values: T[] = [];
  readonly #takers: Taker<T>[] = [];
  #end: { readonly cause: unknown } | undefined;

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker.resolve(value);
  }

  /** Ends the queue: once it is empty, {@link take} rejects with `cause`. */
  end(cause: unknown): void {
    this.#end ??= { cause };
    for (const taker of this.#takers.splice(0)) taker.reject(this.#end.cause);
  }

  /** Waits for the next value, and rejects after a limit, so that no test hangs. */
  async take(): Promise<T> {
    if (this.#values.length > 0) return this.#values.shift() as T; // not empty
    if (this.#end !== undefined) throw this.#end.cause;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#takers.push({ resolve, reject });
    const timer = setTimeout(() => reject(new Error(`nothing arrived for ${LIMIT} ms`)), LIMIT);
    return await promise.finally(() => clearTimeout(timer));
  }
}
