/**
 * Items that are released in one turn of the event loop. Guards against thousands of channels whose
 * subscribers have left together.
 */
export const RELEASED_PER_TURN = 100;

/** Releases what nobody has used for a while. All items share one timer. */
export class Linger<T> implements Disposable {
  readonly #lingerMs: number;
  readonly #release: (item: T) => void;
  /** When each item is released (`performance.now()`), the first one first. */
  readonly #releasedAt = new Map<T, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(lingerMs: number, release: (item: T) => void) {
    this.#lingerMs = lingerMs;
    this.#release = release;
  }

  /** Releases `item` later. A call for one that lingers already starts its time again. */
  add(item: T): void {
    this.#releasedAt.delete(item);
    this.#releasedAt.set(item, performance.now() + this.#lingerMs);
    this.#timer ??= setTimeout(() => this.#check(), this.#lingerMs);
  }

  /** Keeps `item`, which is used again. */
  delete(item: T): void {
    if (!this.#releasedAt.delete(item) || this.#releasedAt.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Releases nothing more. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#releasedAt.clear();
  }

  #check(): void {
    this.#timer = undefined;
    const now = performance.now();
    let left = RELEASED_PER_TURN;
    for (const [item, releasedAt] of this.#releasedAt) {
      const waitMs = Math.max(0, releasedAt - now);
      if (waitMs > 0 || left-- === 0) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#check(), waitMs);
        return;
      }
      this.#releasedAt.delete(item);
      this.#release(item);
    }
  }
}
