/** A lease, as read from the store. */
interface LeaseReading {
  readonly id: string;
  /** Changes with each renewal. */
  readonly versionstamp: string;
  /** How long it lasts without a renewal. */
  readonly leaseMs: number;
}

interface LeaseWatchOptions {
  /**
   * After a longer time without a check, all leases count as first seen: a sleeping machine or an
   * unreachable store also keeps the other isolates from renewing their leases.
   *
   * @default {Infinity}
   */
  readonly maxPauseMs?: number;
}

interface LeaseCheck {
  /** The ids of leases that have not changed for {@link LeaseReading.leaseMs}. */
  readonly expired: ReadonlySet<string>;
  /** Whether the pause before this check was too long, so that no lease can have expired. */
  readonly isAfterPause: boolean;
}

interface FirstSeen {
  readonly versionstamp: string;
  readonly atMs: number;
}

/**
 * Finds leases that their holders no longer renew: those that have not changed for their time since
 * this isolate first saw them. Times are milliseconds of this isolate's own clock, so the clocks of
 * machines need not agree. The clock should never jump; if it is set back, a lease expires early
 * rather than never.
 */
export class LeaseWatch {
  readonly #maxPauseMs: number;
  #firstSeen = new Map<string, FirstSeen>();
  #lastCheckMs: number | undefined;

  constructor({ maxPauseMs = Infinity }: LeaseWatchOptions = {}) {
    this.#maxPauseMs = maxPauseMs;
  }

  /**
   * Returns which leases have expired.
   *
   * @param readings all leases. A lease that is missing is forgotten.
   * @param startedMs when the read began. A lease that was renewed later has not expired.
   * @param endedMs when the read ended. The time of a new lease counts from here.
   */
  check(readings: Iterable<LeaseReading>, startedMs: number, endedMs = startedMs): LeaseCheck {
    const pauseMs = endedMs - (this.#lastCheckMs ?? endedMs);
    const isAfterPause = pauseMs > this.#maxPauseMs;
    this.#lastCheckMs = endedMs;
    const before = isAfterPause ? new Map<string, FirstSeen>() : this.#firstSeen;
    const firstSeen = new Map<string, FirstSeen>();
    const expired = new Set<string>();
    for (const { id, versionstamp, leaseMs } of readings) {
      const known = before.get(id);
      const first = known?.versionstamp === versionstamp ? known : { versionstamp, atMs: endedMs };
      firstSeen.set(id, first);
      const isNew = first !== known; // the time since then would be negative
      if (!isNew && Math.abs(startedMs - first.atMs) >= leaseMs) expired.add(id);
    }
    this.#firstSeen = firstSeen;
    return { expired, isAfterPause };
  }
}
