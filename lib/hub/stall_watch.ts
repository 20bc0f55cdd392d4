import type { Subscription } from "./subscription.ts";

/** Ends subscriptions whose sinks have taken nothing for too long. One timer for all of them. */
export class StallWatch {
  readonly #limit: number;
  /** Since when each waits (ms, monotonic), the longest first. */
  readonly #since = new Map<Subscription, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param limit milliseconds. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add(subscription: Subscription): void {
    this.#since.set(subscription, performance.now());
    this.#timer ??= setTimeout(() => this.#check(), this.#limit);
  }

  remove(subscription: Subscription): void {
    this.#since.delete(subscription);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [subscription, since] of this.#since) {
      const left = since + this.#limit - now;
      if (left > 0) {
        this.#timer = setTimeout(() => this.#check(), left);
        return;
      }
      subscription.end("slow");
    }
  }
}
