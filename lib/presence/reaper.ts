import { retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import { LeaseWatch } from "../kv/lease_watch.ts";
import { readableRows } from "../kv/readable_rows.ts";
import { WorkLease } from "../kv/work_lease.ts";
import { pooledForEach } from "../shared/async/pooled_for_each.ts";
import { ISOLATE_LEASE_MS, type StoredLease } from "./isolate_lease.ts";
import type { Member } from "./member.ts";

/** How often an isolate checks the leases of the others. */
export const REAP_INTERVAL_MS = 3_000;
/** After this time without a check all leases count as first seen. */
const MAX_PAUSE_MS = 3 * REAP_INTERVAL_MS;
/** How long the isolate that reaps keeps that work without a renewal. */
const WORK_LEASE_MS = 5_000;
/**
 * How long the row of a reaped isolate stays: a commit that the isolate sent may arrive late, and
 * without the row nobody would reap the member it adds.
 */
const LATE_COMMIT_MS = 10 * 60 * 1_000;
/** How much a clock may drift from one check to the next without having been set. */
const MAX_CLOCK_DRIFT_MS = 1_000;
/**
 * Members that are removed at once. Guards against filling the log's queue, which publishes share.
 */
const MAX_CONCURRENT_REMOVALS = 100;

interface ReaperOptions {
  readonly kv: Deno.Kv;
  /** Whether all isolates of the store run on this machine, and so share its clock. */
  readonly isOneMachine: boolean;
  /** Returns milliseconds since 1970. */
  readonly now: () => number;
  /** Returns milliseconds of a clock that never jumps. */
  readonly monotonicNow: () => number;
  /** Returns the members that an isolate has. */
  readonly membersOf: (isolate: string) => Promise<readonly Member[]>;
  /** Removes a member from an isolate. */
  readonly removeMember: (member: Member, isolate: string) => Promise<void>;
  /** Receives, once, what is skipped because a lease cannot be read. */
  readonly onWarning: (message: string, cause: unknown) => void;
}

type LeaseEntry = Deno.KvEntry<StoredLease>;

/**
 * Removes the members of dead isolates, so that others see them leave.
 *
 * An isolate is dead when its lease has not changed for its time since this isolate first saw it
 * ({@link LeaseWatch}), so the clocks of machines need not agree. On one machine the time in the
 * lease counts too, unless the clock was set recently: a process that restarts after a crash can
 * reap at once.
 */
export class Reaper {
  readonly #options: ReaperOptions;
  readonly #work: WorkLease;
  readonly #watch = new LeaseWatch({ maxPauseMs: MAX_PAUSE_MS });
  /** Isolates whose unreadable lease was reported. */
  readonly #skipped = new Set<string>();
  /** By how much the wall clock is ahead of the monotonic one. */
  #clockOffsetMs: number | undefined;
  #clockSetAtMs = -Infinity;

  constructor(options: ReaperOptions) {
    this.#options = options;
    const { kv, monotonicNow } = options;
    this.#work = new WorkLease({
      kv,
      work: "presence",
      leaseMs: WORK_LEASE_MS,
      now: monotonicNow,
    });
  }

  /**
   * Checks all leases, and reaps the members of isolates whose lease has expired.
   *
   * @param ownId the isolate that checks, which is alive.
   * @throws what the store does
   */
  async reap(ownId: string): Promise<void> {
    const expired = await this.#findExpired(ownId);
    const failures: unknown[] = [];
    for (const entry of expired) {
      await this.#reapIsolate(entry).catch((cause) => failures.push(cause));
    }
    await this.#work.release();
    if (failures.length > 0) throw failures[0];
  }

  /** Lets another isolate reap. @throws what the store does */
  async release(): Promise<void> {
    await this.#work.release();
  }

  async #findExpired(ownId: string): Promise<readonly LeaseEntry[]> {
    const { kv, monotonicNow } = this.#options;
    const startedMs = monotonicNow();
    const all = await Array.fromAsync(readableRows<StoredLease>(kv, {
      prefix: keys.isolates(),
      parts: ["string"],
      batchSize: 100,
      onUnreadable: (key, cause) => this.#skip(String(key[1]), cause),
    }));
    const endedMs = monotonicNow();
    this.#checkClock(endedMs);
    const others = all.filter(({ key }) => String(key[1]) !== ownId);
    const readings = others.map(({ key, versionstamp, value }) => {
      return { id: String(key[1]), versionstamp, leaseMs: value.lease };
    });
    const { expired, isAfterPause } = this.#watch.check(readings, startedMs, endedMs);
    return others.filter(({ key, value }) =>
      value.isOver || expired.has(String(key[1])) || (!isAfterPause && this.#isPast(value))
    );
  }

  /** The members of an isolate whose lease cannot be read stay, and those of others do not. */
  #skip(isolate: string, cause: unknown): void {
    if (this.#skipped.has(isolate)) return;
    this.#skipped.add(isolate);
    this.#options.onWarning(`presence skips isolate ${isolate}, whose lease cannot be read`, cause);
  }

  /** Returns whether the time in the lease has passed, if this machine's clock can tell. */
  #isPast({ until }: StoredLease): boolean {
    const { isOneMachine, now, monotonicNow } = this.#options;
    const canTell = isOneMachine && monotonicNow() - this.#clockSetAtMs >= ISOLATE_LEASE_MS;
    return canTell && now() >= until;
  }

  /** Notices when the clock was set: times in leases written before are wrong until renewed. */
  #checkClock(atMs: number): void {
    const offsetMs = this.#options.now() - atMs;
    const beforeMs = this.#clockOffsetMs ?? offsetMs;
    if (Math.abs(offsetMs - beforeMs) > MAX_CLOCK_DRIFT_MS) this.#clockSetAtMs = atMs;
    this.#clockOffsetMs = offsetMs;
  }

  async #reapIsolate({ key, value, versionstamp }: LeaseEntry): Promise<void> {
    const { kv, membersOf, removeMember } = this.#options;
    const isolate = String(key[1]);
    const members = await membersOf(isolate);
    if (members.length === 0 && value.isCleared) return;
    if (!await this.#work.hold()) return;
    // The mark has no expiry: if this isolate dies too, the next one continues.
    const marked: StoredLease = { ...value, isOver: true };
    const mark = kv.atomic().check({ key, versionstamp }).set(key, marked);
    const result = await retryLocked(() => mark.commit());
    if (!result.ok) return; // the isolate has renewed its lease: it is alive
    let failure: unknown;
    for (let start = 0; start < members.length; start += MAX_CONCURRENT_REMOVALS) {
      if (!await this.#work.hold()) return;
      const batch = members.slice(start, start + MAX_CONCURRENT_REMOVALS);
      await pooledForEach(MAX_CONCURRENT_REMOVALS, batch, async (member) => {
        // One failure must not keep the other members.
        await removeMember(member, isolate).catch((cause) => failure = cause);
      });
    }
    if (failure !== undefined) throw failure;
    const cleared = kv.atomic().check({ key, versionstamp: result.versionstamp })
      .set(key, { ...marked, isCleared: true } satisfies StoredLease, { expireIn: LATE_COMMIT_MS });
    await retryLocked(() => cleared.commit());
  }
}
