/** What a {@link StallWatch} ends. */
export interface Stallable {
  /** When the subscriber last took something, from any of its channels, by `performance.now()`. */
  readonly takenAt: number;
  end(reason: "slow"): void;
}

/** Subscriptions that are ended in one turn of the event loop. */
export const STALLS_PER_TURN = 100;

/**
 * Ends subscriptions whose subscribers have taken nothing for too long. All of them share one timer.
 * One that waits while the same subscriber takes the events of other channels may be ended later, up
 * to twice the timeout after it has taken something.
 */
export class StallWatch {
  readonly #timeoutMs: number;
  /** The time since which each one waits (`performance.now()`), about the longest wait first. */
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
    let left = STALLS_PER_TURN;
    for (const [subscription, since] of this.#since) {
      const leftMs = Math.max(0, since + this.#timeoutMs - now);
      if (leftMs > 0 || left-- === 0) {
        this.#timer = setTimeout(() => this.#check(), leftMs);
        return;
      }
      const { takenAt } = subscription;
      if (takenAt > since) {
        this.#since.delete(subscription);
        this.#since.set(subscription, takenAt);
      } else {
        subscription.end("slow");
      }
    }
  }
}
