/** The amount that is allowed in this time may also come at once. */
const BURST_MS = 1_000;
/** About how long idle keys are kept. */
const GENERATION_MS = 1_000;
/** Tolerates rounding errors, so that the last request of a burst is accepted. */
const ROUNDING_MS = 1e-6;

/** The outcome of a request for a part of a limit. */
interface RateDecision {
  readonly ok: boolean;
  /** How much can be taken now. */
  readonly remaining: number;
  /**
   * After a refusal, the time until the request would be accepted; otherwise the time until any
   * request would be, which is 0 unless the cost was above the limit. Infinity if the limit is 0.
   */
  readonly retryAfterMs: number;
}

const REFUSED: RateDecision = { ok: false, remaining: 0, retryAfterMs: Infinity };

interface Bucket {
  /** Time from `at` until the bucket is full again. */
  owedMs: number;
  at: number;
}

interface RateLimiterOptions {
  /** Maximum number of keys. @default 100_000 */
  readonly capacity?: number;
  /** Returns milliseconds of a clock that never goes backwards. @default performance.now */
  readonly now?: () => number;
}

/**
 * Limits rates with a token bucket for each key, which holds the amount of one second (GCRA, ITU-T
 * I.371: a debt is a time).
 *
 * A key whose bucket is full again equals a new key and is dropped, so only the keys of about the
 * last two seconds and those with a debt are kept. A key with a debt is dropped early only while
 * more than a quarter of `capacity` have one.
 */
export class RateLimiter {
  readonly #maxYoung: number;
  readonly #now: () => number;
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();
  #rotateAt = -Infinity;

  constructor({ capacity = 100_000, now = () => performance.now() }: RateLimiterOptions = {}) {
    this.#maxYoung = capacity >> 1;
    this.#now = now;
  }

  /** Number of keys. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /**
   * Takes `cost` of the `perSecond` that `key` may take, or nothing. A cost above the limit is
   * accepted when the bucket is full, and leaves a debt: an event of 1 MiB passes a limit of 64 KiB
   * per second, and the next one 16 s later.
   *
   * @param perSecond may differ between calls; 0 refuses everything.
   */
  take(key: string, perSecond: number, cost = 1, now: number = this.#now()): RateDecision {
    if (perSecond <= 0) return REFUSED;
    const bucket = this.#young.get(key) ?? this.#old.get(key);
    const priceMs = cost * BURST_MS / perSecond;
    const owedMs = bucket === undefined ? 0 : owedAt(bucket, now);
    const waitMs = owedMs + Math.min(priceMs, BURST_MS) - BURST_MS;
    if (waitMs > ROUNDING_MS) {
      return { ok: false, remaining: amount(BURST_MS - owedMs, perSecond), retryAfterMs: waitMs };
    }
    if (bucket === undefined) {
      this.#add(key, priceMs, now);
    } else {
      bucket.owedMs = owedMs + priceMs;
      bucket.at = now;
    }
    const roomMs = BURST_MS - owedMs - priceMs;
    return { ok: true, remaining: amount(roomMs, perSecond), retryAfterMs: Math.max(0, -roomMs) };
  }

  /** Gives back what {@link take} took and was not used. */
  refund(key: string, perSecond: number, cost = 1): void {
    const bucket = this.#young.get(key) ?? this.#old.get(key);
    if (bucket !== undefined) bucket.owedMs -= cost * BURST_MS / perSecond;
  }

  #add(key: string, owedMs: number, now: number): void {
    if (now >= this.#rotateAt || this.#young.size >= this.#maxYoung) this.#rotate(now);
    this.#young.set(key, { owedMs, at: now });
  }

  /** Makes the young keys the old ones. Drops the old ones without a debt. */
  #rotate(now: number): void {
    const kept = new Map<string, Bucket>();
    // At most half a generation, so that the next rotation is not due immediately.
    const maxKept = this.#maxYoung >> 1;
    for (const [key, bucket] of this.#old) {
      if (owedAt(bucket, now) > 0 && kept.size < maxKept) kept.set(key, bucket);
    }
    this.#old = this.#young;
    this.#young = kept;
    this.#rotateAt = now + GENERATION_MS;
  }
}

function owedAt({ owedMs, at }: Bucket, now: number): number {
  return Math.max(0, owedMs - (now - at));
}

/** Returns the whole amount that `roomMs` of the burst allows. */
function amount(roomMs: number, perSecond: number): number {
  const whole = Math.floor(((roomMs + ROUNDING_MS) * perSecond) / BURST_MS);
  return Math.min(perSecond, Math.max(0, whole));
}
