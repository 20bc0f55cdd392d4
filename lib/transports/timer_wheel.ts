/** Called once a round. */
interface Heartbeat {
  beat(): void;
}

/**
 * Runs the heartbeats of all connections on one timer. Each connection is in one of the wheel's
 * slots, and a tick serves one slot, so the work of a round is spread evenly over its time.
 */
export class TimerWheel {
  readonly #slots: Set<Heartbeat>[];
  readonly #tickMs: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #at = 0;
  #size = 0;

  /** @param roundMs milliseconds between two beats of one connection */
  constructor(roundMs: number, slots = 60) {
    this.#slots = Array.from({ length: slots }, () => new Set());
    this.#tickMs = roundMs / slots;
  }

  /** Adds a heartbeat, which first beats after a whole round. Disposing the result removes it. */
  add(heartbeat: Heartbeat): Disposable {
    const slot = this.#slots[(this.#at + this.#slots.length - 1) % this.#slots.length];
    slot?.add(heartbeat);
    this.#size++;
    this.#timer ??= setInterval(() => this.#tick(), this.#tickMs);
    return {
      [Symbol.dispose]: () => {
        if (!slot?.delete(heartbeat)) return;
        this.#size--;
        if (this.#size > 0) return;
        clearInterval(this.#timer);
        this.#timer = undefined;
      },
    };
  }

  /** Removes all heartbeats. */
  close(): void {
    clearInterval(this.#timer);
    for (const slot of this.#slots) slot.clear();
  }

  #tick(): void {
    const slot = this.#slots[this.#at];
    this.#at = (this.#at + 1) % this.#slots.length;
    for (const heartbeat of slot ?? []) heartbeat.beat();
  }
}
