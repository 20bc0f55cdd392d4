import { keys } from "./keys.ts";
import { retryLocked } from "./commit_retry.ts";
import { LeaseWatch } from "./lease_watch.ts";

interface StoredWorkLease {
  readonly holder: string;
}

interface WorkLeaseOptions {
  readonly kv: Deno.Kv;
  /** Names the work. */
  readonly work: string;
  /** How long the lease lasts without a renewal. */
  readonly leaseMs: number;
  /** Returns milliseconds of a clock of this isolate. */
  readonly now: () => number;
}

/**
 * Lets one isolate at a time do a background work. Another isolate takes over once the lease has
 * not changed for its time. If the holder was only delayed, two isolates may do the work for a
 * moment, so the work must tolerate that.
 */
export class WorkLease {
  readonly #options: WorkLeaseOptions;
  readonly #key: Deno.KvKey;
  readonly #watch = new LeaseWatch();
  readonly #isolate = crypto.randomUUID();
  #isHeld = false;

  constructor(options: WorkLeaseOptions) {
    this.#options = options;
    this.#key = keys.lease(options.work);
  }

  /** Takes or renews the lease. Returns false while another isolate holds it. */
  async hold(): Promise<boolean> {
    const { kv } = this.#options;
    const entry = await kv.get<StoredWorkLease>(this.#key);
    const { value, versionstamp } = entry;
    if (value !== null && value.holder !== this.#isolate && !this.#isExpired(versionstamp)) {
      return false;
    }
    const lease: StoredWorkLease = { holder: this.#isolate };
    const hold = kv.atomic().check(entry).set(this.#key, lease);
    this.#isHeld = true; // possibly, even if the commit fails without an answer
    return (await retryLocked(() => hold.commit())).ok;
  }

  /** Gives the lease up, so that the next isolate need not wait for its end. */
  async release(): Promise<void> {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    const { kv } = this.#options;
    const entry = await kv.get<StoredWorkLease>(this.#key);
    if (entry.value?.holder !== this.#isolate) return;
    await retryLocked(() => kv.atomic().check(entry).delete(this.#key).commit());
  }

  #isExpired(versionstamp: string): boolean {
    const { work, leaseMs, now } = this.#options;
    return this.#watch.check([{ id: work, versionstamp, leaseMs }], now()).expired.has(work);
  }
}
