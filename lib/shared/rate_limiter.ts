/** Milliseconds: what is allowed in this time may also come at once. */
const BURST_MS = 1_000;
/** Milliseconds after which keys that are idle are dropped, about. */
const GENERATION_MS = 1_000;
/** Milliseconds that rounding may cost: the last of a burst is let through all the same. */
const ROUNDING_MS = 1e-6;

/** What became of a request for some of a limit. */
export interface RateDecision {
  readonly ok: boolean;
  /** What could be taken at once now. */
  readonly remaining: number;
  /**
   * If refused, milliseconds until it would be let through; else until anything more would be, which
   * is 0 but after a cost above the limit. Infinity where the limit is 0.
   */
  readonly retryAfterMs: number;
}

const REFUSED: RateDecision = { ok: false, remaining: 0, retryAfterMs: Infinity };

interface Bucket {
  /** Milliseconds until, seen from `at`, nothing of what was taken counts any more. */
  owed: number;
  at: number;
}

export interface RateLimiterOptions {
  /** Keys that are held at the most. @default 100_000 */
  readonly capacity?: number;
  /** Milliseconds of a clock that never goes backwards. @default performance.now */
  readonly now?: () => number;
}

/**
 * Token buckets by key, each of which holds a second's worth (GCRA, ITU-T I.371: what is owed is a
 * time).
 *
 * A key that has its whole second's worth again is as one that never was, and is dropped: what is
 * held are the keys of about the last two seconds and those that still pay off. A key that pays off
 * is forgotten, and may take its second's worth anew, only where more than a quarter of `capacity`
 * do so at the same time.
 */
export class RateLimiter {
  readonly #maxYoung: number;
  readonly #now: () => number;
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();
  #turnAt = -Infinity;

  constructor({ capacity = 100_000, now = () => performance.now() }: RateLimiterOptions = {}) {
    this.#maxYoung = capacity >> 1;
    this.#now = now;
  }

  /** Keys that are held. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /**
   * Takes `cost` of the `perSecond` that `key` may take, or nothing at all. A cost above the limit
   * is let through once the key is idle, and then keeps it waiting until it is paid off: one event
   * of 1 MiB passes a limit of 64 KiB a second, and the next comes 16 s later.
   *
   * @param perSecond may differ from one call to the next; 0 refuses everything.
   */
  take(key: string, perSecond: number, cost = 1, now: number = this.#now()): RateDecision {
    if (perSecond <= 0) return REFUSED;
    const bucket = this.#young.get(key) ?? this.#old.get(key);
    const price = cost * BURST_MS / perSecond;
    const owed = bucket === undefined ? 0 : owedAt(bucket, now);
    const wait = owed + Math.min(price, BURST_MS) - BURST_MS;
    if (wait > ROUNDING_MS) {
      return { ok: false, remaining: amount(BURST_MS - owed, perSecond), retryAfterMs: wait };
    }
    if (bucket === undefined) {
      this.#add(key, price, now);
    } else {
      bucket.owed = owed + price;
      bucket.at = now;
    }
    const room = BURST_MS - owed - price;
    return { ok: true, remaining: amount(room, perSecond), retryAfterMs: Math.max(0, -room) };
  }

  /** Gives back what {@link take} took, where it was not used after all. */
  refund(key: string, perSecond: number, cost = 1): void {
    const bucket = this.#young.get(key) ?? this.#old.get(key);
    if (bucket !== undefined) bucket.owed -= cost * BURST_MS / perSecond;
  }

  #add(key: string, owed: number, now: number): void {
    if (now >= this.#turnAt || this.#young.size >= this.#maxYoung) this.#turn(now);
    this.#young.set(key, { owed, at: now });
  }

  /** Drops the old keys, but for those that still pay off, and has the young ones be the old. */
  #turn(now: number): void {
    const kept = new Map<string, Bucket>();
    // Half a generation: so the next turn is not due at once, however many pay off.
    const most = this.#maxYoung >> 1;
    for (const [key, bucket] of this.#old) {
      if (owedAt(bucket, now) > 0 && kept.size < most) kept.set(key, bucket);
    }
    this.#old = this.#young;
    this.#young = kept;
    this.#turnAt = now + GENERATION_MS;
  }
}

function owedAt({ owed, at }: Bucket, now: number): number {
  return Math.max(0, owed - (now - at));
}

/** What may be taken in so many ms of the burst. */
function amount(ms: number, perSecond: number): number {
  const whole = Math.floor(((ms + ROUNDING_MS) * perSecond) / BURST_MS);
  return Math.min(perSecond, Math.max(0, whole));
}
