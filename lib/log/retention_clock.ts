import { retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";

/** Milliseconds of a step of the clock that retention follows at once. */
export const MAX_STEP_MS = 5 * 60 * 1_000;
/**
 * How long the clock must stay ahead until retention follows it. Guards against a clock that jumps
 * ahead, by which all events are too old, until somebody corrects it.
 */
const HOLD_MS = 60 * 60 * 1_000;
/** Between two writes of the time to the store. */
const WRITE_INTERVAL_MS = 60 * 1_000;

/** The time of a pass of retention, as the store keeps it. */
interface StoredClock {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** How long passes have seen a clock that is further ahead, in ms. Undefined if it is not. */
  readonly aheadMs?: number;
}

interface RetentionClockOptions {
  readonly kv: Deno.Kv;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicNow: () => number;
  readonly onWarning: (message: string) => void;
}

/**
 * The clock by which retention deletes. It follows the machine's clock, but a step ahead only after
 * an hour, also if another machine or a restarted process makes it: what is deleted is lost.
 */
export class RetentionClock {
  readonly #options: RetentionClockOptions;
  /** The row as this isolate has read or written it, and when. */
  #last: { readonly versionstamp: string; readonly monotonicMs: number } | undefined;

  constructor(options: RetentionClockOptions) {
    this.#options = options;
  }

  /** Returns the time of a pass. */
  async time(): Promise<number> {
    const { kv, now, monotonicNow, onWarning } = this.#options;
    const entry = await kv.get<StoredClock>(keys.retentionClock());
    const monotonicMs = monotonicNow();
    const isKnown = entry.versionstamp !== null &&
      entry.versionstamp === this.#last?.versionstamp;
    const elapsedMs = isKnown ? monotonicMs - (this.#last?.monotonicMs ?? monotonicMs) : 0;
    const next = nextClock(entry.value, now(), elapsedMs);
    if (next.aheadMs !== undefined && entry.value?.aheadMs === undefined) {
      const minutes = Math.round((now() - next.time) / 60_000);
      onWarning(
        `the clock is ${minutes} minutes ahead of the last retention, which follows it in an hour`,
      );
    }
    const isDue = entry.value === null || next.aheadMs !== undefined ||
      Math.abs(next.time - entry.value.time) >= WRITE_INTERVAL_MS;
    if (!isDue && isKnown) return next.time;
    const write = kv.atomic().check(entry).set(entry.key, next);
    const result = await retryLocked(() => write.commit());
    this.#last = result.ok ? { versionstamp: result.versionstamp, monotonicMs } : undefined;
    return next.time;
  }
}

/**
 * Returns the time of a pass.
 *
 * @param last the time of the last pass, or null for the first.
 * @param now the machine's clock.
 * @param elapsedMs the time since the last pass, as far as it is known.
 */
export function nextClock(last: StoredClock | null, now: number, elapsedMs: number): StoredClock {
  if (last === null || now <= last.time + elapsedMs + MAX_STEP_MS) return { time: now };
  const aheadMs = (last.aheadMs ?? 0) + elapsedMs;
  return aheadMs >= HOLD_MS ? { time: now } : { time: last.time + elapsedMs, aheadMs };
}
