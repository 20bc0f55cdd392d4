/** What a link sends at once before the next stream has its turn: about one packet. */
const PACKET_BYTES = 1_200;

/** Data that waits for the link. */
interface Waiting {
  left: number;
  readonly passed: () => void;
}

interface SlowLinkOptions {
  /** Milliseconds of a monotonic clock. @default {performance.now} */
  readonly now?: () => number;
  /** @default {setTimeout} */
  readonly wake?: (callback: () => void, delayMs: number) => void;
}

/**
 * A model of a slow link. Data of one stream passes in order. The streams take turns, packet by
 * packet, as those of a QUIC connection do; a TCP connection is one stream.
 */
export class SlowLink {
  /** Infinity: data passes at once. */
  bytesPerSecond = Infinity;
  /** What waits, by stream. The first one has the next turn. */
  readonly #streams = new Map<object, Waiting[]>();
  readonly #now: () => number;
  readonly #wake: (callback: () => void, delayMs: number) => void;
  /** When the packet under way has passed, and what then happens. */
  #freeAt = 0;
  #onFree: (() => void) | undefined;
  #isBusy = false;

  constructor({ now = () => performance.now(), wake = setTimeout }: SlowLinkOptions = {}) {
    this.#now = now;
    this.#wake = (callback, delayMs) => wake(callback, delayMs);
  }

  /** Resolves when the last of `bytes` on `stream` has passed, after those before it. */
  pass(stream: object, bytes: number): Promise<void> {
    if (this.bytesPerSecond === Infinity && !this.#isBusy) return Promise.resolve();
    return new Promise((passed) => {
      const waiting = this.#streams.get(stream);
      if (waiting !== undefined) waiting.push({ left: bytes, passed });
      else this.#streams.set(stream, [{ left: bytes, passed }]);
      if (this.#isBusy) return;
      this.#isBusy = true;
      this.#freeAt = this.#now();
      this.#run();
    });
  }

  /** Sends all packets whose turn has come. */
  #run(): void {
    while (this.#freeAt <= this.#now()) {
      this.#onFree?.();
      this.#onFree = undefined;
      const next = this.#streams.entries().next();
      if (next.done) {
        this.#isBusy = false;
        return;
      }
      const [stream, queue] = next.value;
      const first = queue[0]!; // streams in the map have waiting data
      const packet = Math.min(first.left, PACKET_BYTES);
      first.left -= packet;
      this.#freeAt += 1_000 * packet / this.bytesPerSecond;
      if (first.left === 0) this.#onFree = queue.shift()?.passed;
      this.#streams.delete(stream); // to the end of the turns
      if (queue.length > 0) this.#streams.set(stream, queue);
    }
    this.#wake(() => this.#run(), this.#freeAt - this.#now());
  }
}
