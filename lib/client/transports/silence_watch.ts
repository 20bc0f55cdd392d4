import type { ConnectionContext } from "../connection/transport.ts";
import { timeoutError } from "../../shared/async/deadline.ts";
import { unreachableError } from "../core/errors.ts";
import type { WeirError } from "../core/weir_error.ts";

/** How long an answer may take if it is not certain that the other end has been silent. */
const CHECK_TIMEOUT_MS = 5_000;

/** A connection that is silent for this many heartbeats has ended. */
export const MAX_SILENT_HEARTBEATS = 2;

/** Bounds of a heartbeat. Guards against a server that makes clients ask all the time, or never. */
const MIN_HEARTBEAT_MS = 100;
const MAX_HEARTBEAT_MS = 600_000;

/** Returns the heartbeat that the server announced in milliseconds, or `known` if it is invalid. */
export function parseHeartbeat(announced: unknown, known: number): number {
  const heartbeatMs = Number(announced);
  return heartbeatMs >= MIN_HEARTBEAT_MS && heartbeatMs <= MAX_HEARTBEAT_MS ? heartbeatMs : known;
}

type WatchContext = Pick<ConnectionContext, "platform" | "timing">;

/**
 * Detects a connection that has gone silent: after one silent heartbeat it asks the other end, which
 * has the rest of the time to answer. A timer that fires late (the machine slept, or the page was
 * throttled) proves nothing, so then it asks first.
 */
export class SilenceWatch {
  readonly #context: WatchContext;
  readonly #onSilence: (error: WeirError) => void;
  readonly #ask: (() => void) | undefined;
  #heardAt: number;
  #isAsked = false;
  #dueAt = 0;
  #timer: unknown;

  /**
   * @param onSilence is called when the connection is silent for too long.
   * @param ask asks the other end for an answer, if that is possible.
   */
  constructor(
    context: WatchContext,
    onSilence: (error: WeirError) => void,
    ask?: () => void,
  ) {
    this.#context = context;
    this.#onSilence = onSilence;
    this.#ask = ask;
    this.#heardAt = context.platform.now();
    this.#arm(context.timing.heartbeatMs);
  }

  /** Notes that something has arrived. */
  heard(): void {
    this.#heardAt = this.#context.platform.now();
    this.#isAsked = false;
  }

  /** Asks the other end now. If it cannot be asked, only an overdue connection is checked. */
  check(): void {
    const isOverdue = this.#silenceMs() > this.#context.timing.heartbeatMs;
    if (this.#ask || isOverdue) this.#askWithin(CHECK_TIMEOUT_MS);
  }

  stop(): void {
    this.#context.platform.clearTimeout(this.#timer);
  }

  #silenceMs(): number {
    const now = this.#context.platform.now();
    this.#heardAt = Math.min(this.#heardAt, now); // the clock may have been set back
    return now - this.#heardAt;
  }

  #fired(): void {
    const { platform, timing: { heartbeatMs } } = this.#context;
    const silenceMs = this.#silenceMs();
    const isLate = platform.now() - this.#dueAt > heartbeatMs / 2 + 500;
    if (isLate) this.#askWithin(CHECK_TIMEOUT_MS);
    else if (this.#isAsked) {
      this.#onSilence(unreachableError("The server has gone silent.", timeoutError(silenceMs)));
    } else if (silenceMs < heartbeatMs) this.#arm(heartbeatMs - silenceMs);
    else this.#askWithin(heartbeatMs * MAX_SILENT_HEARTBEATS - silenceMs);
  }

  #askWithin(timeoutMs: number): void {
    this.#isAsked = true;
    this.#ask?.();
    this.#arm(Math.min(timeoutMs, this.#context.timing.heartbeatMs * MAX_SILENT_HEARTBEATS));
  }

  #arm(delayMs: number): void {
    const { platform } = this.#context;
    this.stop();
    this.#dueAt = platform.now() + delayMs;
    this.#timer = platform.setTimeout(() => this.#fired(), delayMs);
  }
}
