import assert from "node:assert/strict";
import type { EphemeralBatch } from "../../lib/hub/ephemeral_batch.ts";
import type { CloseReason, Sink } from "../../lib/hub/sink.ts";
import type { Run } from "../../lib/log/run.ts";
import type { EphemeralEvent } from "../../lib/shared/ephemeral.ts";
import type { LogEvent } from "../../lib/shared/event.ts";
import { formatOffset, NO_EPOCH, offsetOf, type Position } from "../../lib/shared/offset.ts";

/**
 * A sink with room for a number of events. It checks that each event follows the previous one, or a
 * gap that describes what is missing.
 */
export class FakeSink implements Sink {
  readonly events: { readonly offset: string; readonly event: LogEvent }[] = [];
  readonly ephemeral: EphemeralEvent[] = [];
  gaps = 0;
  closedFor: CloseReason | undefined;
  takenAt = 0;
  /** The number of writes while it was full. */
  overruns = 0;
  #room: number;
  #position: Position | undefined;
  #waiters: (() => void)[] = [];
  #fault: unknown;

  /**
   * @param room how many events it takes before it is full.
   * @param eventBytes its `eventBytes`: many cause small pieces.
   */
  constructor(room: number, readonly eventBytes = 64) {
    this.#room = room;
  }

  /** Sets where its subscription starts. */
  startAt(position: Position): void {
    this.#position = position;
  }

  /** Returns the position of its last event. @throws {Error} if a write was wrong. */
  get position(): Position {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#position === undefined) throw new Error("it was never subscribed");
    return this.#position;
  }

  /** Makes room for `events` more. */
  drain(events: number): void {
    this.#room = Math.max(0, this.#room) + events;
    if (this.#room <= 0) return;
    for (const wake of this.#waiters.splice(0)) wake();
  }

  write(runs: readonly Run[]): void {
    if (this.#room <= 0) this.overruns++;
    try {
      for (const run of runs) this.#take(run);
    } catch (cause) {
      this.#fault ??= cause; // a sink must not throw
    }
  }

  deliverEphemeral({ events }: EphemeralBatch): number {
    if (this.#room <= 0) return 0;
    this.ephemeral.push(...events);
    return events.length;
  }

  hasRoom(): boolean {
    return this.#room > 0;
  }

  drained(): Promise<void> {
    if (this.#room > 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  close(reason: CloseReason): void {
    this.closedFor = reason;
  }

  #take(run: Run): void {
    const { epoch, sequence } = this.position;
    if (run.gap !== undefined) {
      this.gaps++;
      assert.equal(run.gap.requested, offsetOf({ epoch, sequence }));
      assert.equal(run.gap.firstAvailable, formatOffset(run.epoch, run.after + 1));
      if (run.gap.reason === "expired") assert.equal(run.gap.lost, run.after - sequence);
      else assert.equal(run.gap.lost, null);
    } else {
      const isFirst = epoch === NO_EPOCH && run.after === 0;
      assert.ok(isFirst || run.epoch === epoch, `${epoch} became ${run.epoch} without a gap`);
      assert.equal(run.after, sequence);
    }
    assert.ok(run.events.length > 0 || run.gap !== undefined, "an empty run");
    this.#position = { epoch: run.epoch, sequence: run.after };
    for (const event of run.events) {
      assert.equal(event.sequence, this.#position.sequence + 1);
      this.#position = { epoch: run.epoch, sequence: event.sequence };
      this.events.push({ offset: offsetOf(this.#position), event });
      this.#room--;
    }
  }
}
