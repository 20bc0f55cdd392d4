import { keys } from "../kv/keys.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { WorkLease } from "../kv/work_lease.ts";
import { ISOLATE_LEASE_MS, type StoredLease } from "./isolate_lease.ts";
import type { Member } from "./member.ts";
import { pooledForEach } from "../shared/async/pooled_for_each.ts";
import { membersOf } from "./stays.ts";

/** Between two looks for isolates that died, in ms. */
export const REAP_INTERVAL_MS = 3_000;
/** How long the isolate that takes members out holds that work without a sign of life, in ms. */
const WORK_MS = 5_000;
/**
 * How long an isolate that was found dead is looked at again, in ms: a commit that it had sent may
 * arrive late, and nobody would ever take out the member that it brings.
 */
const LATE_MS = 10 * 60 * 1_000;
/** By this much in ms a clock that was not set may differ from one look to the next. */
const CLOCK_ERROR_MS = 1_000;
/** Members that are taken out at once. Met: a queue of the log that has no room for publishes. */
const AT_ONCE = 100;

export interface ReaperOptions {
  readonly kv: Deno.Kv;
  /** Whether all isolates of the store are on this machine, and have its clock. */
  readonly isOneMachine: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicNow: () => number;
  /** Takes a member from an isolate. */
  readonly removeMember: (member: Member, isolate: string) => Promise<void>;
}

/** A lease as it was first seen. */
interface Seen {
  readonly versionstamp: string;
  readonly at: number;
}

/**
 * Takes the members of isolates that died out of the rows, and so gives them their `leave`.
 *
 * A lease is over when it hasn't changed for its time since it was first seen. So clocks of machines
 * need not agree at all; one that was just renewed when its isolate died is found over a look and
 * its time later. On one machine the clock tells too, unless it was set lately: who starts there
 * after a crash needs no waiting. An isolate that was held up itself (a machine that slept, a store
 * that was away) looks anew, since then the others were held up too.
 */
export class Reaper {
  readonly #options: ReaperOptions;
  readonly #work: WorkLease;
  #seen = new Map<string, Seen>();
  /** When the store last told. */
  #lookedAt: number | undefined;
  /** By how much the clock is before that which never jumps. */
  #clock: number | undefined;
  #clockSetAt = -Infinity;

  constructor(options: ReaperOptions) {
    this.#options = options;
    this.#work = new WorkLease(options.kv, "presence", WORK_MS, options.monotonicNow);
  }

  /** @param own the isolate that looks, which lives. @throws what the store does */
  async reap(own: string): Promise<void> {
    const { kv, monotonicNow } = this.#options;
    const begunAt = monotonicNow();
    const entries = await Array.fromAsync(kv.list<StoredLease>({ prefix: keys.isolates() }));
    const at = monotonicNow();
    const wasHeldUp = this.#lookedAt !== undefined && at - this.#lookedAt > 3 * REAP_INTERVAL_MS;
    this.#lookedAt = at;
    this.#checkClock(at);
    const before = wasHeldUp ? new Map<string, Seen>() : this.#seen;
    const seen = new Map<string, Seen>();
    const over: Deno.KvEntry<StoredLease>[] = [];
    for (const entry of entries) {
      const id = String(entry.key[1]);
      if (id === own) continue;
      const known = before.get(id);
      const { versionstamp } = entry;
      const first = known?.versionstamp === versionstamp ? known : { versionstamp, at };
      seen.set(id, first);
      const isUnchanged = begunAt - first.at >= entry.value.lease;
      const isOver = entry.value.isOver || isUnchanged || this.#isPast(entry.value, wasHeldUp);
      if (isOver) over.push(entry);
    }
    this.#seen = seen;
    const failures: unknown[] = [];
    for (const entry of over) await this.#clear(entry).catch((cause) => failures.push(cause));
    await this.#work.release();
    if (failures.length > 0) throw failures[0];
  }

  /** @throws what the store does */
  async release(): Promise<void> {
    await this.#work.release();
  }

  /** What the row itself says, where that counts. */
  #isPast({ until }: StoredLease, wasHeldUp: boolean): boolean {
    const { isOneMachine, now, monotonicNow } = this.#options;
    const hasClock = isOneMachine && !wasHeldUp &&
      monotonicNow() - this.#clockSetAt >= ISOLATE_LEASE_MS;
    return hasClock && now() >= until;
  }

  /** Leases from before the clock was set mean nothing by it until they are renewed. */
  #checkClock(at: number): void {
    const clock = this.#options.now() - at;
    const before = this.#clock ?? clock;
    if (Math.abs(clock - before) > CLOCK_ERROR_MS) this.#clockSetAt = at;
    this.#clock = clock;
  }

  async #clear({ key, value, versionstamp }: Deno.KvEntry<StoredLease>): Promise<void> {
    const { kv, removeMember: takeOut } = this.#options;
    const isolate = String(key[1]);
    const places = await membersOf(kv, isolate);
    if (places.length === 0 && value.isCleared) return;
    if (!await this.#work.hold()) return;
    // It stays until its members are out, however many isolates die over it.
    const over: StoredLease = { ...value, isOver: true };
    const claim = kv.atomic().check({ key, versionstamp }).set(key, over);
    const claimed = await retryLocked(() => claim.commit());
    if (!claimed.ok) return; // it lives after all
    let failure: unknown;
    for (let from = 0; from < places.length; from += AT_ONCE) {
      if (!await this.#work.hold()) return;
      await pooledForEach(AT_ONCE, places.slice(from, from + AT_ONCE), async (member) => {
        await takeOut(member, isolate).catch((cause) => failure = cause); // the others go on
      });
    }
    if (failure !== undefined) throw failure;
    const cleared = kv.atomic().check({ key, versionstamp: claimed.versionstamp })
      .set(key, { ...over, isCleared: true } satisfies StoredLease, { expireIn: LATE_MS });
    await retryLocked(() => cleared.commit());
  }
}
