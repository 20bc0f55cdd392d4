/** A lease as one look found it. */
export interface LeaseReading {
  readonly id: string;
  /** Changes with each renewal. */
  readonly versionstamp: string;
  /** How long it lasts without a renewal. */
  readonly leaseMs: number;
}

export interface LeaseWatchOptions {
  /**
   * After a longer time without a look, all leases count as first seen: whatever kept this isolate
   * from looking (a sleeping machine, an unreachable store) may have kept the others from renewing.
   *
   * @default {Infinity}
   */
  readonly maxPauseMs?: number;
}

export interface LeaseLook {
  /** The ids of leases that have not changed for their time. */
  readonly expired: ReadonlySet<string>;
  /** Whether the pause before this look was too long, so that no lease can have expired. */
  readonly isAfterPause: boolean;
}

interface FirstSeen {
  readonly versionstamp: string;
  readonly atMs: number;
}

/**
 * Finds leases that their holders no longer renew: those that have not changed for their time since
 * they were first seen. It compares times of one clock only, so the clocks of the machines need not
 * agree.
 *
 * Times are milliseconds of a clock that never jumps. If a clock is set back, a lease expires early
 * rather than never.
 */
export class LeaseWatch {
  readonly #maxPauseMs: number;
  #firstSeen = new Map<string, FirstSeen>();
  #lastLookMs: number | undefined;

  constructor({ maxPauseMs = Infinity }: LeaseWatchOptions = {}) {
    this.#maxPauseMs = maxPauseMs;
  }

  /**
   * Takes in all leases as they are now. Leases that are missing from `readings` are forgotten.
   *
   * @param startedMs when the read began: a lease that was renewed later has not expired.
   * @param endedMs when the read was done: a lease counts as seen from then on.
   */
  look(readings: Iterable<LeaseReading>, startedMs: number, endedMs = startedMs): LeaseLook {
    const pauseMs = endedMs - (this.#lastLookMs ?? endedMs);
    const isAfterPause = pauseMs > this.#maxPauseMs;
    this.#lastLookMs = endedMs;
    const before = isAfterPause ? new Map<string, FirstSeen>() : this.#firstSeen;
    const firstSeen = new Map<string, FirstSeen>();
    const expired = new Set<string>();
    for (const { id, versionstamp, leaseMs } of readings) {
      const known = before.get(id);
      const first = known?.versionstamp === versionstamp ? known : { versionstamp, atMs: endedMs };
      firstSeen.set(id, first);
      // Not of a lease first seen in this look, whose time since is negative.
      const isKnown = first === known;
      if (isKnown && Math.abs(startedMs - first.atMs) >= leaseMs) expired.add(id);
    }
    this.#firstSeen = firstSeen;
    return { expired, isAfterPause };
  }
}
