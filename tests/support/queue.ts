import { LIMIT } from "./until.ts";

interface Taker<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (cause: unknown) => void;
}

/** Values that one side puts in as they come and a test takes out one by one. */
export class Queue<T> {
  readonly #values: T[] = [];
  readonly #takers: Taker<T>[] = [];
  #end: { readonly cause: unknown } | undefined;

  put(value: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker.resolve(value);
  }

  /** Whoever takes more than there is gets `cause`. */
  end(cause: unknown): void {
    this.#end ??= { cause };
    for (const taker of this.#takers.splice(0)) taker.reject(this.#end.cause);
  }

  /** Fails where none comes within the limit: a test that waits in vain ends. */
  async take(): Promise<T> {
    if (this.#values.length > 0) return this.#values.shift() as T; // there is one
    if (this.#end !== undefined) throw this.#end.cause;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#takers.push({ resolve, reject });
    const timer = setTimeout(() => reject(new Error(`nothing came for ${LIMIT} ms`)), LIMIT);
    return await promise.finally(() => clearTimeout(timer));
  }
}
