import { pause } from "../shared/async/delay.ts";
import { forEachInTurns } from "../shared/async/in_turns.ts";
import { Linger } from "../shared/async/linger.ts";
import type { MoveReason } from "./goodbye.ts";

/** Milliseconds for which a connection still works after its goodbye, unless its client leaves. */
export const NOTICE_MS = 2_000;
/** Milliseconds between two steps of a drain: goodbyes that are due within them are said together. */
const MIN_STEP_MS = 10;
/** Milliseconds between two looks for connections that are too old. */
const ROTATION_INTERVAL_MS = 1_000;
/**
 * The least part of the greatest age at which a connection is rotated. Each gets a random age above
 * it, so that connections that opened together are not rotated together.
 */
const MIN_AGE = 0.75;
/** Connections that get a goodbye, or are closed, in one turn of the event loop. */
const TOLD_PER_TURN = 100;

/** An open connection whose client can continue at another server. */
export interface LeavingConnection {
  /** Whether it may last for long, so that it is rotated. @default false */
  readonly isLasting?: boolean;
  /** Says that the connection will be closed soon. It works until then. Called at most once. */
  sayGoodbye(reason: MoveReason): void;
  /** Closes the connection, after a goodbye if none was said. */
  close(reason: MoveReason): void;
}

interface GoodbyesOptions {
  /** Milliseconds after which a lasting connection is rotated. @default Infinity */
  readonly maxAgeMs?: number | undefined;
  /** @default {Math.random} */
  readonly random?: () => number;
}

/**
 * Says goodbye to open connections, one after the other. Each of them works for {@link NOTICE_MS}
 * after its goodbye, so that its client can connect to another server before it leaves this one.
 */
export class Goodbyes {
  readonly #maxAgeMs: number;
  readonly #random: () => number;
  /**
   * Open connections that have got no goodbye, in the order in which they were opened, and when each
   * is rotated (`performance.now()`).
   */
  readonly #staying = new Map<LeavingConnection, number>();
  #rotation: ReturnType<typeof setInterval> | undefined;
  /** Open connections that have got one, and why. */
  readonly #leaving = new Map<LeavingConnection, MoveReason>();
  readonly #overdue = new Linger<LeavingConnection>(NOTICE_MS, (connection) => {
    const reason = this.#leaving.get(connection);
    this.delete(connection);
    if (reason !== undefined) connection.close(reason);
  });
  readonly #closed = new AbortController();
  #allLeft = Promise.withResolvers<void>();

  constructor({ maxAgeMs = Infinity, random = Math.random }: GoodbyesOptions = {}) {
    this.#maxAgeMs = maxAgeMs;
    this.#random = random;
  }

  /** The number of open connections. */
  get size(): number {
    return this.#staying.size + this.#leaving.size;
  }

  add(connection: LeavingConnection): void {
    if (this.#maxAgeMs === Infinity || !connection.isLasting) {
      this.#staying.set(connection, Infinity);
      return;
    }
    const ageMs = this.#maxAgeMs * (MIN_AGE + (1 - MIN_AGE) * this.#random());
    this.#staying.set(connection, performance.now() + ageMs);
    this.#rotation ??= setInterval(() => void this.#rotate(), ROTATION_INTERVAL_MS);
  }

  /** Forgets a connection that has ended. */
  delete(connection: LeavingConnection): void {
    this.#staying.delete(connection);
    if (this.#staying.size === 0) this.#stopRotation();
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
    this.#stopRotation();
    const { signal } = this.#closed;
    const startedAt = performance.now();
    const count = this.#staying.size;
    const dueAfterMs = (index: number) => (index + 0.5) * durationMs / count;
    for (let told = 0; !signal.aborted;) {
      const elapsedMs = performance.now() - startedAt;
      if (elapsedMs >= durationMs) break;
      const next: LeavingConnection[] = [];
      for (const connection of this.#staying.keys()) {
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
    await this.#tell([...this.#staying.keys()], "stopping");
    if (this.#leaving.size === 0) return;
    this.#allLeft = Promise.withResolvers();
    await this.#allLeft.promise;
  }

  /** Closes all connections as `stopping`, and ends a drain. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#stopRotation();
    this.#overdue[Symbol.dispose]();
    this.#allLeft.resolve();
    const open = [...this.#leaving.keys(), ...this.#staying.keys()];
    this.#leaving.clear();
    this.#staying.clear();
    await forEachInTurns(open, TOLD_PER_TURN, (connection) => connection.close("stopping"));
  }

  /** Says goodbye to the connections that are too old. */
  async #rotate(): Promise<void> {
    const now = performance.now();
    const old: LeavingConnection[] = [];
    for (const [connection, rotatedAt] of this.#staying) {
      if (rotatedAt <= now) old.push(connection);
    }
    await this.#tell(old, "rotate");
    if (this.#staying.size === 0) this.#stopRotation();
  }

  #stopRotation(): void {
    clearInterval(this.#rotation);
    this.#rotation = undefined;
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
