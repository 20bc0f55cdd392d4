import type { Draft } from "../log/log.ts";
import { SIGNAL_LIFETIME_MS } from "../log/retention_limits.ts";
import { type Member, memberId } from "../presence/member.ts";

/**
 * Signals of one member that one inbox takes in a window. Guards against a member that fills
 * another's inbox, so that nobody else reaches that one: even two windows are half of an inbox.
 */
export const MAX_SIGNALS_OF_SENDER = 1_024;
/** Bytes of them. Guards against the same with large signals. */
export const MAX_BYTES_OF_SENDER = 4 * 1024 ** 2;
/** The time for which an inbox keeps a signal. */
const WINDOW_MS = SIGNAL_LIFETIME_MS;

interface Count {
  readonly signals: number;
  readonly bytes: number;
}

/** Counts what each member has sent to each inbox through this isolate. */
export class SenderQuota {
  readonly #monotonicNow: () => number;
  /** By sender and inbox. */
  #counts = new Map<string, Count>();
  #windowEndsAtMs = -Infinity;

  /** @param monotonicNow returns milliseconds of a clock that never jumps. */
  constructor(monotonicNow: () => number) {
    this.#monotonicNow = monotonicNow;
  }

  /**
   * Counts the drafts, each to another inbox, or none if an inbox takes no more of this sender.
   *
   * @returns in that case the milliseconds until there is room again.
   */
  take(sender: Member, drafts: readonly Draft[]): number | undefined {
    const nowMs = this.#monotonicNow();
    if (nowMs >= this.#windowEndsAtMs) {
      this.#counts = new Map();
      this.#windowEndsAtMs = nowMs + WINDOW_MS;
    }
    const next = drafts.map(({ channelKey, bytes }) => {
      const key = `${memberId(sender)}\0${channelKey}`;
      const count = this.#counts.get(key) ?? { signals: 0, bytes: 0 };
      return [key, { signals: count.signals + 1, bytes: count.bytes + bytes }] as const;
    });
    const isTooMuch = next.some(([, { signals, bytes }]) =>
      signals > MAX_SIGNALS_OF_SENDER || bytes > MAX_BYTES_OF_SENDER
    );
    if (isTooMuch) return this.#windowEndsAtMs - nowMs;
    for (const [key, count] of next) this.#counts.set(key, count);
    return undefined;
  }
}
