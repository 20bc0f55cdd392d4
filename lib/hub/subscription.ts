import { BEFORE_ALL, type Run, sizeOfRuns } from "../log/run.ts";
import { pause } from "../shared/async/delay.ts";
import type { Position } from "../shared/offset.ts";
import type { EphemeralBatch } from "./ephemeral_batch.ts";
import type { ResumeResult } from "./hub_observer.ts";
import type { CloseReason, Sink } from "./sink.ts";
import type { StallWatch } from "./stall_watch.ts";
import type { Tail } from "./tail.ts";

/** Between two attempts to read a store that does not answer. */
const RETRY_DELAY_MS = 500;

interface SubscriptionOptions {
  readonly tail: Tail;
  /** The subscription delivers what follows this position. */
  readonly position: Position;
  readonly sink: Sink;
  /** Whether the subscriber continues after `position`. */
  readonly isResume: boolean;
  readonly stalls: StallWatch;
  /** The subscription reads the log from now on. */
  readonly onCatchUp: (subscription: Subscription) => void;
  /** The subscription has caught up: from now on the tail pushes to it. */
  readonly onLive: (subscription: Subscription) => void;
  /** Called once, by {@link Subscription.close} or {@link Subscription.end}. */
  readonly onClosed: (subscription: Subscription) => void;
}

/**
 * Delivers one channel to one sink. While the subscription is live, the tail pushes new runs. When
 * the sink is full, the subscription reads the log as fast as the sink drains, then is live again.
 */
export class Subscription {
  readonly #tail: Tail;
  readonly #sink: Sink;
  readonly #stalls: StallWatch;
  readonly #onCatchUp: (subscription: Subscription) => void;
  readonly #onLive: (subscription: Subscription) => void;
  readonly #onClosed: (subscription: Subscription) => void;
  #position: Position;
  /** Whether the result of a resume is still to be reported. */
  #isResuming: boolean;
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(options: SubscriptionOptions) {
    this.#tail = options.tail;
    this.#position = options.position;
    this.#sink = options.sink;
    this.#isResuming = options.isResume;
    this.#stalls = options.stalls;
    this.#onCatchUp = options.onCatchUp;
    this.#onLive = options.onLive;
    this.#onClosed = options.onClosed;
  }

  /** The position after the last event that the sink received. */
  get position(): Position {
    return this.#position;
  }

  /** Returns how many events of the channel the sink has not received yet. */
  get lag(): number {
    const { epoch, sequence } = this.#tail.position;
    if (epoch === this.#position.epoch) return sequence - this.#position.sequence;
    // A position in a later epoch is after a deletion that the tail has not heard of yet.
    return epoch > this.#position.epoch ? sequence : 0;
  }

  /** When the subscriber last took something, by `performance.now()`. */
  get takenAt(): number {
    return this.#sink.takenAt;
  }

  /** Starts to deliver. Nothing is written to the sink before. */
  start(): void {
    if (this.#tail.goLive(this)) this.#reportResume("current");
    else void this.#catchUp(this.#sink.eventBytes);
  }

  /** Stops delivering; the sink is not notified, since the subscriber has left by itself. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#tail.leave(this);
    this.#stalls.remove(this);
    this.wake();
    this.#onClosed(this);
  }

  /** Stops delivering, and closes the sink with the reason. */
  end(reason: CloseReason): void {
    if (this.#isClosed) return;
    this.close();
    this.#sink.close(reason);
  }

  /**
   * Delivers a new run, and returns how many of its events the sink received. The tail calls it
   * while the subscription is live. What the sink has no room for is read again later.
   */
  push(delivery: readonly [Run]): number {
    const [run] = delivery;
    const { eventBytes } = this.#sink;
    let received = 0;
    // Without room for another event it waits now, so that a silent channel's reader counts as slow.
    let nextBytes = eventBytes;
    do {
      const { epoch, sequence } = this.#position;
      const piece = run.piece(epoch === run.epoch ? sequence : BEFORE_ALL, eventBytes);
      const bytes = piece.sizeWith(eventBytes);
      if (!this.#sink.hasRoom(bytes)) {
        nextBytes = bytes;
        break;
      }
      this.#write(piece === run ? delivery : [piece]);
      received += piece.events.length;
    } while (this.#position.sequence < run.last && !this.#isClosed);
    const hasAll = this.#position.epoch === run.epoch && this.#position.sequence >= run.last;
    if (!this.#isClosed && !(hasAll && this.#sink.hasRoom(eventBytes))) {
      this.#tail.leave(this);
      void this.#catchUp(nextBytes);
    }
    return received;
  }

  /** Delivers ephemeral events, and returns how many. The position does not change. */
  deliverEphemeral(batch: EphemeralBatch): number {
    return this.#isClosed ? 0 : this.#sink.deliverEphemeral(batch);
  }

  /** Ends a wait for the tail to move. */
  wake(): void {
    this.#wake?.();
  }

  #reportResume(result: ResumeResult): void {
    if (this.#isResuming) this.#tail.resumed(result);
    this.#isResuming = false;
  }

  #write(runs: readonly Run[]): void {
    const last = runs[runs.length - 1];
    if (last !== undefined) this.#position = { epoch: last.epoch, sequence: last.last };
    this.#sink.write(runs);
  }

  /**
   * Writes what the log has to the sink, as fast as that drains, until there is nothing more. Waits
   * for room for the next `nextBytes` first.
   */
  async #catchUp(nextBytes: number): Promise<void> {
    if (this.#isClosed) return;
    this.#onCatchUp(this);
    const { eventBytes } = this.#sink;
    await this.#drained(nextBytes);
    let hasWaited = true;
    while (!this.#isClosed) {
      let runs = this.#tail.cached(this.#position, eventBytes);
      if (runs.length === 0) {
        // The only hand-over from replay to live. Between goLive()'s comparison of the positions
        // and the first push there is no await, so no event can fall between them.
        if (this.#tail.goLive(this)) {
          this.#reportResume("current");
          this.#onLive(this);
          return;
        }
        if (!this.#sink.hasRoom(eventBytes, hasWaited)) {
          await this.#drained(eventBytes);
          hasWaited = true;
          continue;
        }
        const before = this.#tail.position;
        const read = await this.#read();
        if (this.#isClosed) return;
        if (read?.length === 0 && this.#tail.position === before) await this.#moved();
        runs = read ?? [];
      }
      if (runs.length === 0) continue;
      const bytes = sizeOfRuns(runs, eventBytes);
      if (this.#sink.hasRoom(bytes, hasWaited)) {
        hasWaited = false;
        this.#reportResume(runs[0]?.gap === undefined ? "replayed" : "gap");
        this.#tail.caughtUp(runs);
        this.#write(runs);
      } else {
        // Without the runs, which would be kept in memory for as long as the wait. Afterwards
        // another channel of the same connection may have taken the room.
        await this.#drained(bytes);
        hasWaited = true;
      }
    }
  }

  /** Reads the next runs. After a failed read, returns undefined once the retry delay is over. */
  async #read(): Promise<readonly Run[] | undefined> {
    try {
      return await this.#tail.read(this.#position, this.#sink.eventBytes);
    } catch {
      if (this.#isClosed) return undefined;
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await pause(RETRY_DELAY_MS, woken);
      this.#wake = undefined;
      return undefined;
    }
  }

  async #moved(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#tail.wait(this);
    });
    this.#wake = undefined;
  }

  async #drained(bytes: number): Promise<void> {
    this.#stalls.add(this);
    await this.#sink.drained(bytes);
    this.#stalls.remove(this);
  }
}
