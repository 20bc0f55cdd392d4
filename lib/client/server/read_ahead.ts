import { onAbort } from "../core/on_abort.ts";

interface ReadAheadOptions<T> {
  /** Returns the size of an item. */
  readonly sizeOf: (item: T) => number;
  /** The source is not read further while so many items wait, or items of this size together. */
  readonly maxItems: number;
  readonly maxSize: number;
}

/**
 * Reads a source ahead, so that the next items are there when those before them have been sent. Its
 * memory is bounded: `maxItems`, and `maxSize` with one item more.
 */
export class ReadAhead<T> {
  readonly #iterator: Iterator<T> | AsyncIterator<T>;
  readonly #isAsync: boolean;
  readonly #options: ReadAheadOptions<T>;
  #items: T[] = [];
  #size = 0;
  #isReading = false;
  #isEnded = false;
  #failure: { readonly cause: unknown } | undefined;
  #wake = () => {};
  #wakeReader = () => {};

  constructor(source: Iterable<T> | AsyncIterable<T>, options: ReadAheadOptions<T>) {
    this.#isAsync = Symbol.asyncIterator in source;
    this.#iterator = Symbol.asyncIterator in source
      ? source[Symbol.asyncIterator]()
      : source[Symbol.iterator]();
    this.#options = options;
    void this.#read();
  }

  /**
   * Resolves with all items that have been read, once there is one. Empty at the end of the source.
   *
   * @throws what the source threw, after the items before; the reason of `signal`
   */
  async take(signal: AbortSignal | undefined): Promise<readonly T[]> {
    while (this.#items.length === 0 && !this.#isEnded) {
      signal?.throwIfAborted();
      await new Promise<void>((resolve) => {
        const removeListener = onAbort(signal, () => this.#wake());
        this.#wake = () => {
          removeListener();
          resolve();
        };
      });
    }
    signal?.throwIfAborted();
    const items = this.#items;
    if (items.length === 0 && this.#failure !== undefined) throw this.#failure.cause;
    this.#items = [];
    this.#size = 0;
    this.#wakeReader();
    return items;
  }

  /** Ends the source, as leaving a `for await` does. */
  async close(): Promise<void> {
    const hasEnded = this.#isEnded;
    this.#isEnded = true;
    this.#wakeReader();
    if (hasEnded) return;
    const returned = this.#iterator.return?.();
    // A generator that waits for its next item ends only after that, which may take forever.
    if (this.#isReading) void Promise.resolve(returned).catch(() => {});
    else await returned;
  }

  async #read(): Promise<void> {
    try {
      while (!this.#isEnded) {
        if (this.#isFull) {
          await new Promise<void>((resolve) => this.#wakeReader = resolve);
          continue;
        }
        this.#isReading = true;
        const next = this.#iterator.next();
        const { value, done } = this.#isAsync ? await next : next as IteratorResult<T>;
        this.#isReading = false;
        if (done) break;
        this.#items.push(value);
        this.#size += this.#options.sizeOf(value);
        this.#wake();
      }
    } catch (cause) {
      this.#failure = { cause };
    }
    this.#isEnded = true;
    this.#wake();
  }

  get #isFull(): boolean {
    return this.#items.length >= this.#options.maxItems || this.#size >= this.#options.maxSize;
  }
}
