/** What a {@link StallWatch} ends. */
export interface Stallable {
  end(reason: "slow"): void;
}

/** Ends subscriptions whose sinks have taken nothing for too long. All of them share one timer. */
export class StallWatch {
  readonly #timeoutMs: number;
  /** The time since which each one waits (`performance.now()`), the longest wait first. */
  readonly #since = new Map<Stallable, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Starts to wait for `subscription`, which must not be waited for already. */
  add(subscription: Stallable): void {
    this.#since.set(subscription, performance.now());
    this.#timer ??= setTimeout(() => this.#check(), this.#timeoutMs);
  }

  remove(subscription: Stallable): void {
    this.#since.delete(subscription);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #check(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [subscription, since] of this.#since) {
      const leftMs = since + this.#timeoutMs - now;
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.#check(), leftMs);
        return;
      }
      subscription.end("slow");
    }
  }
}
