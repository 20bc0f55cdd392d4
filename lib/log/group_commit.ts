import type { Doorbell } from "../kv/doorbell.ts";
import { COMMIT_BACKOFF, MAX_COMMIT_ATTEMPTS } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import { isPassing, isTooLarge, storageProblem } from "../kv/storage_problem.ts";
import { backoffMs } from "../shared/async/backoff.ts";
import { pause } from "../shared/async/delay.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { claimEarly, type StoredDrafts, writeEarly } from "./blobs.ts";
import {
  type ChannelPlan,
  type CommitPlan,
  planCommit,
  type StoredEventId,
} from "./commit_plan.ts";
import { type ChannelCounts, isNew, sumChannels } from "./channel_counts.ts";
import { getMany, type HeadCache } from "./head_cache.ts";
import { StaleRowsError } from "./log.ts";
import type { LogObserver } from "./log_observer.ts";
import { channelKeysOf, commitUnknown, type PendingAppend, settle } from "./pending_append.ts";
import { lastOf, narrowed, packBatches, type StoredBatch } from "./record_batch.ts";
import { Run } from "./run.ts";

/** The same for a store that is away: about a minute, after which whoever waited has gone. */
const MAX_FAILURES = 60;
/** Upper bound of the pause after a failed attempt while the store is away. */
const MAX_OUTAGE_PAUSE_MS = 1_024;

/** A commit that was sent; while its outcome is unknown it may still arrive. */
interface SentCommit {
  readonly id: string;
  readonly planned: CommitPlan;
}

export interface GroupCommitOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  readonly heads: HeadCache;
  readonly counts: ChannelCounts;
  readonly now: () => number;
  /** From 0 to 1, as `Math.random`. */
  readonly random: () => number;
  /** Whether someone in this isolate wants the channel's runs. */
  readonly isListened: (channelKey: ChannelKey) => boolean;
  readonly onCommitted: (run: Run) => void;
  /** @default nobody wants to know */
  readonly observer?: LogObserver | undefined;
  /** Whether nobody waits for the group any more and nobody will look if it arrives. */
  readonly isAbandoned: (group: readonly PendingAppend[]) => boolean;
}

/**
 * Brings a group of appends into the log in one atomic commit: plans, sends, tries again after a
 * conflict or an outage, and finds out about commits whose answer never came.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #isolate = crypto.randomUUID().slice(0, 8);
  #commits = 0;
  /** Ends all pauses. */
  readonly #hurry = new AbortController();

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** From here on there are no pauses between tries. */
  hurry(): void {
    this.#hurry.abort();
  }

  /** Commits `group`, and answers each append of it. Never throws. */
  async run(group: readonly PendingAppend[]): Promise<void> {
    try {
      await this.#commit(group, []);
    } catch (cause) {
      const problem = storageProblem(cause);
      for (const pending of group) settle(pending, problem);
    }
  }

  /** @param unknown earlier attempts at the same group that may still arrive. */
  async #commit(
    group: readonly PendingAppend[],
    unknown: SentCommit[],
    conflicts = 0,
  ): Promise<void> {
    const { heads, counts, kv, now } = this.#options;
    let isNarrowed = false;
    for (let failures = 0; !this.#options.isAbandoned(group);) {
      let attempt: SentCommit | undefined;
      try {
        for (const { stored } of group) {
          if (stored.early !== undefined) await writeEarly(kv, stored.early, now());
        }
        await heads.load(channelKeysOf(group));
        await counts.load(channelKeysOf(group), heads);
        const planned = await planCommit({ kv, heads, counts }, group, now());
        attempt = { id: `${this.#isolate}${this.#commits++}`, planned };
        const versionstamp = await this.#send(attempt);
        if (versionstamp !== undefined) return this.#done(attempt, versionstamp);
        unknown.push(attempt);
        conflicts++;
      } catch (cause) {
        if (isTooLarge(cause) && !isNarrowed) {
          isNarrowed = true;
          for (const pending of group) pending.stored = narrowedDrafts(pending.stored);
          continue;
        }
        const problem = storageProblem(cause);
        if (!isPassing(problem) || ++failures >= MAX_FAILURES) {
          // What failed for sure now may have arrived by an earlier attempt.
          throw failures > 0 && unknown.length > 0 ? commitUnknown(cause) : problem;
        }
        if (attempt !== undefined) unknown.push(attempt);
        await this.#pause(failures, MAX_OUTAGE_PAUSE_MS);
      }
      try {
        const arrived = await this.#findArrived(unknown);
        if (arrived !== undefined) return this.#done(arrived, undefined);
        const contended = await this.#reload(group);
        // That is no conflict of the others, who go on without those.
        if (await this.#dropStale(group) && contended.size === 0) conflicts--;
        if (conflicts >= MAX_COMMIT_ATTEMPTS) {
          throw new Problem("contended", "Too many writers at one channel; publish again.");
        }
        // Only what was refused outright can be parted: the rest may yet arrive as a whole.
        if (failures === 0) {
          unknown.length = 0;
          const calm = apartFrom(contended, group);
          if (calm.length > 0 && calm.length < group.length) {
            const moved = group.filter((pending) => !calm.includes(pending));
            const later = this.#pause(conflicts, COMMIT_BACKOFF.maxMs)
              .then(() => this.#commit(moved, [], conflicts));
            await settleAll([this.#commit(calm, []), calm], [later, moved]);
            return;
          }
        }
        await this.#pause(conflicts, COMMIT_BACKOFF.maxMs);
      } catch (cause) {
        const problem = storageProblem(cause);
        if (!isPassing(problem) || ++failures >= MAX_FAILURES) throw problem;
        await this.#pause(failures, MAX_OUTAGE_PAUSE_MS);
      }
    }
  }

  /** The versionstamp of the commit; none where another isolate was first. */
  async #send({ id, planned }: SentCommit): Promise<string | undefined> {
    const { kv, doorbell, observer } = this.#options;
    const atomic = kv.atomic();
    for (const plan of planned.channels) {
      // Also where there are only repeats: that they are still kept is what the head says.
      atomic.check({ key: keys.head(plan.channelKey), versionstamp: plan.before.versionstamp });
      if (plan.events.length === 0) continue;
      atomic.set(keys.head(plan.channelKey), plan.head);
      for (const batch of packBatches(id, plan.startBytes, plan.events)) {
        atomic.set(keys.batch(plan.channelKey, plan.head.epoch, lastOf(batch)), batch);
      }
      for (const { event } of plan.events) {
        if (event.id === undefined) continue;
        atomic.set(
          keys.seen(plan.channelKey, event.id),
          [plan.head.epoch, event.sequence] satisfies StoredEventId,
        );
      }
    }
    for (const { change, offset } of planned.rows) {
      for (const check of change.checks) atomic.check(check);
      change.write(atomic, offset);
    }
    for (const { chunks, early } of planned.stored) {
      for (const { blob, key, value } of chunks) {
        if (!planned.unused.has(blob)) atomic.set(key, value);
      }
      if (early !== undefined) claimEarly(atomic, early, planned.unused);
    }
    const moved = movedBy(planned);
    const made = moved.filter(({ before }) => isNew(before.head));
    sumChannels(atomic, made.map(({ channelKey }) => channelKey), 1);
    if (moved.length > 0) {
      doorbell.prepare(
        atomic,
        moved.map(({ channelKey }) => channelKey),
      );
    }
    const start = performance.now();
    const result = await atomic.commit();
    observer?.committed(performance.now() - start);
    return result.ok ? result.versionstamp : undefined;
  }

  #done({ planned }: SentCommit, versionstamp: string | undefined): void {
    const { heads, isListened, onCommitted, doorbell, observer } = this.#options;
    const moved = movedBy(planned);
    for (const { channelKey, head } of moved) {
      if (versionstamp === undefined) heads.forget(channelKey);
      else heads.set(channelKey, { head, versionstamp });
    }
    const end = performance.now();
    for (const [pending, answer] of planned.answers) {
      settle(pending, answer);
      const [channelKey] = pending.channelKeys;
      const isStored = channelKey !== undefined && !(answer instanceof Error);
      if (isStored) observer?.appended(channelKey, end - pending.since);
    }
    for (const { channelKey, events } of moved) {
      observer?.stored(channelKey, events.length);
    }
    for (const plan of moved) if (isListened(plan.channelKey)) onCommitted(runOf(plan));
    if (moved.length > 0) {
      doorbell.committed(moved.map(({ channelKey }) => channelKey), versionstamp);
    }
  }

  /** The one of `attempts` that is in the log after all, by the commit id in its record batch. */
  async #findArrived(attempts: readonly SentCommit[]): Promise<SentCommit | undefined> {
    for (const attempt of attempts) {
      const plan = attempt.planned.channels.find(({ events }) => events.length > 0);
      const first = plan?.events[0]?.event.sequence;
      if (plan === undefined || first === undefined) continue;
      const batches = this.#options.kv.list<StoredBatch>({
        start: keys.batch(plan.channelKey, plan.head.epoch, first),
        end: keys.batch(plan.channelKey, plan.head.epoch, Number.MAX_SAFE_INTEGER),
      }, { limit: 1 });
      for await (const { value } of batches) if (value.commit === attempt.id) return attempt;
    }
    return undefined;
  }

  /** Reads the group's heads anew; the channels that moved meanwhile. */
  async #reload(group: readonly PendingAppend[]): Promise<ReadonlySet<ChannelKey>> {
    const { heads, counts } = this.#options;
    const channelKeys = [...channelKeysOf(group)];
    counts.forget(channelKeys); // the group is planned, and its channels are counted, anew
    const before = channelKeys.map((channelKey) => heads.peek(channelKey)?.versionstamp);
    await heads.reload(channelKeys);
    return new Set(channelKeys.filter((a, i) => heads.peek(a)?.versionstamp !== before[i]));
  }

  /**
   * Answers appends whose rows have changed since they were read: they alone can't be stored.
   *
   * @returns whether there were any.
   */
  async #dropStale(group: readonly PendingAppend[]): Promise<boolean> {
    const checked = group.flatMap((pending) =>
      pending.settled ? [] : pending.rowChecks.map((check) => ({ pending, check }))
    );
    if (checked.length === 0) return false;
    const entries = await getMany(this.#options.kv, checked.map(({ check }) => check.key));
    const stale = checked.filter(({ check }, i) => entries[i]?.versionstamp !== check.versionstamp);
    for (const { pending } of stale) {
      settle(pending, new StaleRowsError());
    }
    return stale.length > 0;
  }

  /** Waits longer after each failure, unless the commit is hurried. */
  #pause(failures: number, maxMs: number): Promise<void> {
    const { random } = this.#options;
    return pause(backoffMs(failures, { baseMs: 1, maxMs, random }), this.#hurry);
  }
}

/**
 * The appends of `group` that share no channel with one that is contended, nor with another append
 * which does: those of one channel keep their order.
 */
function apartFrom(
  contended: ReadonlySet<ChannelKey>,
  group: readonly PendingAppend[],
): readonly PendingAppend[] {
  const blocked = new Set(contended);
  const isApart = ({ drafts }: PendingAppend) =>
    drafts.every(({ channelKey }) => !blocked.has(channelKey));
  for (let before = -1; before !== blocked.size;) {
    before = blocked.size;
    for (const channelKey of channelKeysOf(group.filter((p) => !isApart(p)))) {
      blocked.add(channelKey);
    }
  }
  return group.filter(isApart);
}

function narrowedDrafts(drafts: StoredDrafts): StoredDrafts {
  return { ...drafts, stored: drafts.stored.map(narrowed) };
}

function movedBy({ channels }: CommitPlan): readonly ChannelPlan[] {
  return channels.filter(({ events }) => events.length > 0);
}

/** Waits for all; the failure of one part is the answer of that part alone. */
async function settleAll(
  ...parts: readonly (readonly [Promise<void>, readonly PendingAppend[]])[]
): Promise<void> {
  await Promise.all(parts.map(([work, group]) =>
    work.catch((cause) => {
      const problem = storageProblem(cause);
      for (const pending of group) settle(pending, problem);
    })
  ));
}

function runOf({ channelKey, head, events }: ChannelPlan): Run {
  return new Run(
    channelKey,
    head.epoch,
    head.last - events.length,
    events.map(({ event }) => event),
  );
}
