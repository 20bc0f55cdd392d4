import { Linger } from "../hub/linger.ts";
import { pause } from "../shared/async/delay.ts";
import { forEachInTurns } from "../shared/async/in_turns.ts";
import type { MoveReason } from "./goodbye.ts";

/** Milliseconds for which a connection still works after its goodbye, unless its client leaves. */
export const NOTICE_MS = 2_000;
/** Milliseconds between two steps of a drain: goodbyes that are due within them are said together. */
const MIN_STEP_MS = 10;
/** Connections that get a goodbye, or are closed, in one turn of the event loop. */
const TOLD_PER_TURN = 100;

/** An open connection whose client can continue at another server. */
export interface LeavingConnection {
  /** Says that the connection will be closed soon. It works until then. Called at most once. */
  sayGoodbye(reason: MoveReason): void;
  /** Closes the connection, after a goodbye if none was said. */
  close(reason: MoveReason): void;
}

/**
 * Says goodbye to open connections, one after the other. Each of them works for {@link NOTICE_MS}
 * after its goodbye, so that its client can connect to another server before it leaves this one.
 */
export class Goodbyes {
  /** Open connections that have got no goodbye, in the order in which they were opened. */
  readonly #staying = new Set<LeavingConnection>();
  /** Open connections that have got one, and why. */
  readonly #leaving = new Map<LeavingConnection, MoveReason>();
  readonly #overdue = new Linger<LeavingConnection>(NOTICE_MS, (connection) => {
    const reason = this.#leaving.get(connection);
    this.delete(connection);
    if (reason !== undefined) connection.close(reason);
  });
  readonly #closed = new AbortController();
  #allLeft = Promise.withResolvers<void>();

  /** The number of open connections. */
  get size(): number {
    return this.#staying.size + this.#leaving.size;
  }

  add(connection: LeavingConnection): void {
    this.#staying.add(connection);
  }

  /** Forgets a connection that has ended. */
  delete(connection: LeavingConnection): void {
    this.#staying.delete(connection);
    if (!this.#leaving.delete(connection)) return;
    this.#overdue.delete(connection);
    if (this.#leaving.size === 0) this.#allLeft.resolve();
  }

  /**
   * Says goodbye to all connections as `stopping`, spread evenly over `durationMs`, the oldest ones
   * first. Resolves after this time, once all of them have left or were closed: {@link NOTICE_MS}
   * later at the latest. Connections that open meanwhile get their goodbye at the end.
   */
  async drain(durationMs: number): Promise<void> {
    const { signal } = this.#closed;
    const startedAt = performance.now();
    const count = this.#staying.size;
    const dueAfterMs = (index: number) => (index + 0.5) * durationMs / count;
    for (let told = 0; !signal.aborted;) {
      const elapsedMs = performance.now() - startedAt;
      if (elapsedMs >= durationMs) break;
      const next: LeavingConnection[] = [];
      for (const connection of this.#staying) {
        if (told + next.length >= count || dueAfterMs(told + next.length) > elapsedMs) break;
        next.push(connection);
      }
      told += next.length;
      await this.#tell(next, "stopping");
      const waitMs = told < count ? dueAfterMs(told) : durationMs;
      const stepMs = Math.max(MIN_STEP_MS, waitMs - (performance.now() - startedAt));
      await pause(Math.min(stepMs, durationMs), { signal });
    }
    if (signal.aborted) return;
    await this.#tell([...this.#staying], "stopping");
    if (this.#leaving.size === 0) return;
    this.#allLeft = Promise.withResolvers();
    await this.#allLeft.promise;
  }

  /** Closes all connections as `stopping`, and ends a drain. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#overdue[Symbol.dispose]();
    this.#allLeft.resolve();
    const open = [...this.#leaving.keys(), ...this.#staying];
    this.#leaving.clear();
    this.#staying.clear();
    await forEachInTurns(open, TOLD_PER_TURN, (connection) => connection.close("stopping"));
  }

  async #tell(connections: readonly LeavingConnection[], reason: MoveReason): Promise<void> {
    await forEachInTurns(connections, TOLD_PER_TURN, (connection) => {
      if (!this.#staying.delete(connection)) return; // it has left in the meantime
      this.#leaving.set(connection, reason);
      this.#overdue.add(connection);
      connection.sayGoodbye(reason);
    });
  }
}
