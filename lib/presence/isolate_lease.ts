import { retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";

/** How often an isolate renews its lease. */
const RENEW_INTERVAL_MS = 5_000;
/**
 * How long a lease lasts after its last renewal. Two renewals may fail, and once it expires,
 * clients of the dead isolate have had at least the grace period to reconnect elsewhere.
 */
export const ISOLATE_LEASE_MS = 18_000;

/** The value of an isolate's row. */
export interface StoredLease {
  /** When the lease expires, in milliseconds since 1970 by the isolate's own clock. */
  readonly until: number;
  /** How many milliseconds the lease lasts after it was written. */
  readonly lease: number;
  /** Whether another isolate found the lease expired, and reaps the members. */
  readonly isOver: boolean;
  /** Whether the members are reaped. The row stays for commits that arrive late. */
  readonly isCleared?: boolean;
}

interface IsolateLeaseOptions {
  readonly kv: Deno.Kv;
  /** Returns milliseconds since 1970. */
  readonly now: () => number;
  /** Returns milliseconds of a clock that never jumps. */
  readonly monotonicNow: () => number;
  /** Called when others found the lease expired. The isolate has a new id, and no members by it. */
  readonly onLost: () => void;
}

/** Shows other isolates that this one is alive: its members stay as long as it renews the lease. */
export class IsolateLease {
  readonly #options: IsolateLeaseOptions;
  readonly #queue = new SerialQueue();
  #id: string = crypto.randomUUID();
  #isHeld = false;
  #renewedAtMs = -Infinity;
  /** Of the row as this isolate last wrote it. */
  #versionstamp: string | null = null;
  #isUncertain = false;

  constructor(options: IsolateLeaseOptions) {
    this.#options = options;
  }

  /** The isolate's id in the rows of its members. It changes when the lease is lost. */
  get id(): string {
    return this.#id;
  }

  /**
   * Takes or renews the lease if necessary. Call before writing a member.
   *
   * @throws {Problem} `storage_*`
   */
  async ensureHeld(): Promise<void> {
    while (!this.#isFresh()) await this.#enqueue(() => this.#renew());
  }

  /** Records that a commit with this id may still arrive, although its caller got an error. */
  markUncertain(): void {
    this.#isUncertain = true;
  }

  /**
   * Gives the lease up because there are no members. If a commit may still arrive, the lease is
   * left to expire instead, so that other isolates reap what arrives, and this isolate takes a new
   * id.
   *
   * @throws {Problem} `storage_*`
   */
  async release(isStillUnused: () => boolean): Promise<void> {
    await this.#enqueue(async () => {
      if (!this.#isHeld || !isStillUnused()) return;
      this.#renewedAtMs = -Infinity; // a join from now on has to renew it after this
      if (this.#isUncertain || !await this.#delete()) this.#changeId();
      else this.#isHeld = false;
    });
  }

  /**
   * Writes the lease for the last time, so that it expires in `leaseMs`.
   *
   * @throws {Problem} `storage_*`
   */
  async shorten(leaseMs: number): Promise<void> {
    await this.#enqueue(async () => {
      if (this.#isHeld) await this.#write(leaseMs);
    });
  }

  /** Deletes the row, unless it was written since: this call may have waited out an outage. */
  async #delete(): Promise<boolean> {
    const key = keys.isolate(this.#id);
    const { kv } = this.#options;
    const removal = kv.atomic().check({ key, versionstamp: this.#versionstamp }).delete(key);
    return (await retryLocked(() => removal.commit())).ok;
  }

  /** Takes a new id. Other isolates take care of what the old id has. */
  #changeId(): void {
    this.#id = crypto.randomUUID();
    this.#isHeld = this.#isUncertain = false;
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    return this.#queue.run(() => withStoreTimeout(work()));
  }

  #isFresh(): boolean {
    return this.#isHeld && this.#options.monotonicNow() - this.#renewedAtMs < RENEW_INTERVAL_MS;
  }

  async #renew(): Promise<void> {
    if (!this.#isFresh()) await this.#write(ISOLATE_LEASE_MS);
  }

  async #write(leaseMs: number): Promise<void> {
    const { kv, now, monotonicNow, onLost } = this.#options;
    const startedAtMs = monotonicNow();
    const id = this.#id;
    const entry = await kv.get<StoredLease>(keys.isolate(id));
    if (id !== this.#id) return; // this call timed out, and a later one changed the id
    const isLost = entry.value === null ? this.#isHeld : entry.value.isOver;
    if (isLost) {
      this.#changeId();
      onLost();
      return;
    }
    const row: StoredLease = { until: now() + leaseMs, lease: leaseMs, isOver: false };
    const renewal = kv.atomic().check(entry).set(entry.key, row);
    const result = await retryLocked(() => renewal.commit());
    if (!result.ok || id !== this.#id) return; // another write came first: the next call reads it
    this.#versionstamp = result.versionstamp;
    this.#isHeld = true;
    this.#renewedAtMs = startedAtMs;
  }
}
