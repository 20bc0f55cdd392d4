/** Values that one side puts in as they come and a test takes out one by one. */
export class Queue<T> {
  readonly #values: T[] = [];
  readonly #takers: { resolve(value: T): void; reject(cause: unknown): void }[] = [];
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

  take(): Promise<T> {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift() as T); // there is one
    if (this.#end !== undefined) return Promise.reject(this.#end.cause);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#takers.push({ resolve, reject });
    return promise;
  }
}
