import type { Run } from "../log/run.ts";
import { pause } from "../shared/async/delay.ts";
import type { Position } from "../shared/offset.ts";
import type { EphemeralBatch } from "./ephemeral_batch.ts";
import type { CloseReason, Sink } from "./sink.ts";
import type { StallWatch } from "./stall_watch.ts";
import type { Tail } from "./tail.ts";

/** Between two attempts to read a store that does not answer. */
const RETRY_DELAY_MS = 500;

/**
 * One consumer's place in one channel: a position and a sink. Live, the tail pushes; when the
 * sink is full it catches up from the log at the sink's own speed, then is live again.
 */
export class Subscription {
  readonly #tail: Tail;
  readonly #sink: Sink;
  readonly #stalls: StallWatch;
  /** All of the isolate that catch up. */
  readonly #behind: Set<Subscription>;
  readonly #onClosed: (subscription: Subscription) => void;
  #position: Position;
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(
    tail: Tail,
    position: Position,
    sink: Sink,
    stalls: StallWatch,
    behind: Set<Subscription>,
    onClosed: (subscription: Subscription) => void,
  ) {
    this.#tail = tail;
    this.#position = position;
    this.#sink = sink;
    this.#stalls = stalls;
    this.#behind = behind;
    this.#onClosed = onClosed;
  }

  /** After the last event that the sink was given. */
  get position(): Position {
    return this.#position;
  }

  /** Events of the channel that the sink has still to be given. */
  get lag(): number {
    const { epoch, sequence } = this.#tail.position;
    return epoch === this.#position.epoch ? sequence - this.#position.sequence : sequence;
  }

  /** Begins to fill the sink. */
  start(): void {
    if (!this.#tail.goLive(this)) void this.#catchUp();
  }

  /** The subscriber has gone: nothing more is written. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#behind.delete(this);
    this.#tail.leave(this);
    this.#stalls.remove(this);
    this.wake();
    this.#onClosed(this);
  }

  /** Weir ends it, and the subscriber is told why. */
  end(reason: CloseReason): void {
    if (this.#isClosed) return;
    this.close();
    this.#sink.close(reason);
  }

  /** New runs, from the tail while live. */
  push(runs: readonly Run[]): void {
    if (this.#write(runs) || this.#isClosed) return;
    this.#tail.leave(this);
    void this.#catchUp();
  }

  /** Ephemeral events, which move no position. */
  deliverEphemeral(batch: EphemeralBatch): void {
    if (!this.#isClosed) this.#sink.deliverEphemeral(batch);
  }

  /** The tail has moved. */
  wake(): void {
    this.#wake?.();
  }

  #write(runs: readonly Run[]): boolean {
    const last = runs[runs.length - 1];
    if (last !== undefined) this.#position = { epoch: last.epoch, sequence: last.last };
    return this.#sink.write(runs);
  }

  /** From the log to the sink, as fast as it drains, until there is nothing more: then live. */
  async #catchUp(): Promise<void> {
    if (this.#isClosed) return;
    this.#behind.add(this);
    await this.#drained();
    while (!this.#isClosed) {
      let runs = this.#tail.cached(this.#position);
      if (runs.length === 0) {
        // The one hand-over: no await between the last look and being live.
        if (this.#tail.goLive(this)) {
          this.#behind.delete(this);
          return;
        }
        const seen = this.#tail.position;
        const read = await this.#read();
        if (this.#isClosed) return;
        if (read?.length === 0 && this.#tail.position === seen) await this.#moved();
        runs = read ?? [];
      }
      if (runs.length === 0) continue;
      // Asked again right before: the room may have gone to another channel of the connection.
      if (this.#sink.hasRoom()) this.#tail.caughtUp(runs);
      if (!this.#sink.hasRoom() || !this.#write(runs)) await this.#drained();
    }
  }

  /** Undefined after a pause, when the store was away: the stream stays open. */
  async #read(): Promise<readonly Run[] | undefined> {
    try {
      return await this.#tail.read(this.#position);
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

  async #drained(): Promise<void> {
    this.#stalls.add(this);
    await this.#sink.drained();
    this.#stalls.remove(this);
  }
}
