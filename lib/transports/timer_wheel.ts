/** What is called once a round. */
export interface Heartbeat {
  beat(): void;
}

/**
 * One timer for the heartbeats of all connections: each hangs in one of the wheel's slots, and a
 * tick serves one slot, so that a round's work is spread evenly over its time.
 */
export class TimerWheel {
  readonly #slots: Set<Heartbeat>[];
  readonly #tick: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #at = 0;
  #size = 0;

  /** @param round milliseconds between two beats of one connection. */
  constructor(round: number, slots = 60) {
    this.#slots = Array.from({ length: slots }, () => new Set());
    this.#tick = round / slots;
  }

  /** The first beat comes after a whole round. Disposing ends the beats. */
  add(beating: Heartbeat): Disposable {
    const slot = this.#slots[(this.#at + this.#slots.length - 1) % this.#slots.length];
    slot?.add(beating);
    this.#size++;
    this.#timer ??= setInterval(() => this.#turn(), this.#tick);
    return {
      [Symbol.dispose]: () => {
        if (!slot?.delete(beating)) return;
        this.#size--;
        if (this.#size > 0) return;
        clearInterval(this.#timer);
        this.#timer = undefined;
      },
    };
  }

  /** Ends all beats. */
  close(): void {
    clearInterval(this.#timer);
    for (const slot of this.#slots) slot.clear();
  }

  #turn(): void {
    const slot = this.#slots[this.#at];
    this.#at = (this.#at + 1) % this.#slots.length;
    for (const beating of slot ?? []) beating.beat();
  }
}
