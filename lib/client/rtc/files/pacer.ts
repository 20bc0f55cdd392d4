/** The time in which the server counts what a member sends to an inbox. */
const WINDOW_MS = 60_000;

/**
 * Characters of base64 in this time. The server takes 4 MiB of signals of one member: the rest is
 * for those of the connection, so that it can still be repaired.
 */
const MAX_PER_WINDOW = 3 * 2 ** 20;

/** Slows a transfer down to what an inbox takes. */
export class Pacer {
  readonly #now: () => number;
  #sent: { readonly atMs: number; readonly length: number }[] = [];

  constructor({ now }: { now(): number }) {
    this.#now = now;
  }

  /** Milliseconds until so many characters may be sent. 0: now. */
  delayMs(length: number): number {
    const since = this.#now() - WINDOW_MS;
    this.#sent = this.#sent.filter(({ atMs }) => atMs > since);
    let total = length + this.#sent.reduce((sum, { length }) => sum + length, 0);
    for (const { atMs, length } of this.#sent) {
      if (total <= MAX_PER_WINDOW) return 0;
      total -= length;
      if (total <= MAX_PER_WINDOW) return atMs - since;
    }
    return 0;
  }

  wasSent(length: number): void {
    this.#sent.push({ atMs: this.#now(), length });
  }
}
