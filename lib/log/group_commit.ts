import { COMMIT_BACKOFF } from "../kv/commit_retry.ts";
import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import { storageProblem } from "../kv/storage_problem.ts";
import { backoffMs } from "../shared/async/backoff.ts";
import { pause } from "../shared/async/delay.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { writeEarly } from "./blobs.ts";
import type { ChannelCounts } from "./channel_counts.ts";
import type { ChannelPlan } from "./channel_plan.ts";
import {
  type CommitTries,
  decideAfterAttempt,
  decideAfterCheck,
  NO_TRIES,
} from "./commit_decision.ts";
import { type CommitPlan, planCommit } from "./commit_plan.ts";
import { movedBy, writeCommit } from "./commit_writes.ts";
import { getMany, type HeadCache } from "./head_cache.ts";
import { StaleRowsError } from "./log.ts";
import type { LogObserver } from "./log_observer.ts";
import { channelKeysOf, type PendingAppend, settle } from "./pending_append.ts";
import { narrowed, type StoredBatch } from "./record_batch.ts";
import { Run } from "./run.ts";

/** Upper bound of the pause after a failed attempt while the store does not answer. */
const MAX_OUTAGE_PAUSE_MS = 1_024;

export interface GroupCommitOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  readonly heads: HeadCache;
  readonly counts: ChannelCounts;
  readonly now: () => number;
  /** Returns a number from 0 to 1, as `Math.random` does. */
  readonly random: () => number;
  /** Returns whether the channel has a listener in this isolate. */
  readonly isListened: (channelKey: ChannelKey) => boolean;
  readonly onCommitted: (run: Run) => void;
  /** @default undefined */
  readonly observer?: LogObserver | undefined;
  /** Returns whether the outcome of the group no longer matters to anyone. */
  readonly isAbandoned: (group: readonly PendingAppend[]) => boolean;
}

/** A commit that was sent. While its outcome is unknown it may still arrive. */
interface SentCommit {
  readonly id: string;
  readonly plan: CommitPlan;
}

type Attempt =
  | { readonly kind: "committed"; readonly sent: SentCommit; readonly versionstamp: string }
  | { readonly kind: "refused"; readonly sent: SentCommit }
  | { readonly kind: "failed"; readonly cause: unknown; readonly sent: SentCommit | undefined };

type Check =
  | { readonly kind: "arrived"; readonly sent: SentCommit }
  | { readonly kind: "failed"; readonly cause: unknown }
  | {
    readonly kind: "not_found";
    readonly hasMoved: boolean;
    readonly hasStaleRows: boolean;
    readonly isSplittable: boolean;
    /** The appends that are independent of the moved channels. */
    readonly independent: readonly PendingAppend[];
  };

/**
 * Stores a group of appends in one atomic commit: plans it, sends it, repeats it after a conflict or
 * an outage, and finds out whether a commit without an answer has arrived. The decisions are in
 * commit_decision.ts.
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

  /** Ends all pauses between attempts, now and from now on. */
  hurry(): void {
    this.#hurry.abort();
  }

  /** Commits `group`, and answers each of its appends. Never rejects. */
  run(group: readonly PendingAppend[]): Promise<void> {
    return this.#run(group, NO_TRIES);
  }

  async #run(group: readonly PendingAppend[], tries: CommitTries): Promise<void> {
    try {
      await this.#commit(group, tries);
    } catch (cause) {
      const problem = storageProblem(cause);
      for (const pending of group) settle(pending, problem);
    }
  }

  async #commit(group: readonly PendingAppend[], before: CommitTries): Promise<void> {
    let tries = before;
    /** Commits of this group whose outcome is unknown. */
    const unknown: SentCommit[] = [];
    while (!this.#options.isAbandoned(group)) {
      const attempt = await this.#attempt(group);
      if (attempt.kind === "committed") {
        return this.#finish(attempt.sent.plan, attempt.versionstamp);
      }
      const next = decideAfterAttempt(attempt, tries, unknown.length > 0);
      if (next.action === "give_up") throw next.problem;
      tries = next.tries;
      if (next.action === "narrow") {
        for (const pending of group) narrowTexts(pending);
        continue;
      }
      if (attempt.sent !== undefined) unknown.push(attempt.sent);
      if (next.pauses) await this.#pauseAfter(tries, "failures");

      const check = await this.#check(group, unknown);
      if (check.kind === "arrived") return this.#finish(check.sent.plan, undefined);
      const then = decideAfterCheck(check, tries);
      if (then.action === "give_up") throw then.problem;
      tries = then.tries;
      if (then.action === "split" && check.kind === "not_found") {
        return await this.#split(group, check.independent, tries);
      }
      if (then.action === "retry") {
        if (then.forgets) unknown.length = 0;
        await this.#pauseAfter(tries, then.backoff);
      }
    }
  }

  /** Plans the group's commit and sends it. Never rejects. */
  async #attempt(group: readonly PendingAppend[]): Promise<Attempt> {
    const { heads, counts, kv, now } = this.#options;
    let sent: SentCommit | undefined;
    try {
      for (const { stored } of group) {
        if (stored.early !== undefined) await writeEarly(kv, stored.early, now());
      }
      const channelKeys = channelKeysOf(group);
      await heads.load(channelKeys);
      await counts.load(channelKeys, heads);
      const plan = await planCommit({ kv, heads, counts }, group, now());
      sent = { id: `${this.#isolate}${this.#commits++}`, plan };
      const versionstamp = await this.#send(sent);
      return versionstamp === undefined
        ? { kind: "refused", sent }
        : { kind: "committed", sent, versionstamp };
    } catch (cause) {
      return { kind: "failed", cause, sent };
    }
  }

  /** Returns the commit's versionstamp, or undefined if a row that it checks has changed. */
  async #send({ id, plan }: SentCommit): Promise<string | undefined> {
    const { kv, doorbell, observer } = this.#options;
    const atomic = kv.atomic();
    writeCommit(atomic, id, plan);
    const moved = movedBy(plan);
    if (moved.length > 0) doorbell.prepare(atomic, moved.map(({ channelKey }) => channelKey));
    const start = performance.now();
    const result = await atomic.commit();
    observer?.committed(performance.now() - start);
    return result.ok ? result.versionstamp : undefined;
  }

  /** Answers the appends and passes the new runs on. `versionstamp` is undefined if it is unknown. */
  #finish(plan: CommitPlan, versionstamp: string | undefined): void {
    const { heads, isListened, onCommitted, doorbell, observer } = this.#options;
    const moved = movedBy(plan);
    for (const { channelKey, head } of moved) {
      if (versionstamp === undefined) heads.forget(channelKey);
      else heads.set(channelKey, { head, versionstamp });
    }
    const end = performance.now();
    for (const [pending, outcome] of plan.outcomes) {
      settle(pending, outcome);
      const [channelKey] = pending.channelKeys;
      const isStored = channelKey !== undefined && !(outcome instanceof Error);
      if (isStored) observer?.appended(channelKey, end - pending.since);
    }
    for (const { channelKey, events } of moved) observer?.stored(channelKey, events.length);
    for (const channel of moved) {
      if (isListened(channel.channelKey)) onCommitted(runOf(channel));
    }
    if (moved.length > 0) {
      doorbell.committed(moved.map(({ channelKey }) => channelKey), versionstamp);
    }
  }

  /** Looks for the commits of `unknown`, and for what has changed since. Never rejects. */
  async #check(
    group: readonly PendingAppend[],
    unknown: readonly SentCommit[],
  ): Promise<Check> {
    try {
      const sent = await this.#findArrived(unknown);
      if (sent !== undefined) return { kind: "arrived", sent };
      const moved = await this.#reloadHeads(group);
      const hasStaleRows = await this.#dropStale(group);
      const independent = independentOf(moved, group);
      const isSplittable = independent.length > 0 && independent.length < group.length;
      const hasMoved = moved.size > 0;
      return { kind: "not_found", hasMoved, hasStaleRows, isSplittable, independent };
    } catch (cause) {
      return { kind: "failed", cause };
    }
  }

  /** Finds the one of `commits` that is in the log, by the commit id in its record batch. */
  async #findArrived(commits: readonly SentCommit[]): Promise<SentCommit | undefined> {
    for (const commit of commits) {
      const [channel] = movedBy(commit.plan);
      const first = channel?.events[0]?.event.sequence;
      if (channel === undefined || first === undefined) continue;
      const batches = this.#options.kv.list<StoredBatch>({
        start: keys.batch(channel.channelKey, channel.head.epoch, first),
        end: keys.batch(channel.channelKey, channel.head.epoch, Number.MAX_SAFE_INTEGER),
      }, { limit: 1 });
      for await (const { value } of batches) if (value.commit === commit.id) return commit;
    }
    return undefined;
  }

  /** Reads the heads of the group again, and returns the channels whose head has changed. */
  async #reloadHeads(group: readonly PendingAppend[]): Promise<ReadonlySet<ChannelKey>> {
    const { heads, counts } = this.#options;
    const channelKeys = [...channelKeysOf(group)];
    counts.forget(channelKeys); // the next plan counts the channels that it creates again
    const before = channelKeys.map((channelKey) => heads.peek(channelKey)?.versionstamp);
    await heads.reload(channelKeys);
    return new Set(
      channelKeys.filter((channelKey, i) => heads.peek(channelKey)?.versionstamp !== before[i]),
    );
  }

  /** Answers the appends whose rows have changed since they were read; returns if there are any. */
  async #dropStale(group: readonly PendingAppend[]): Promise<boolean> {
    const checked = group.flatMap((pending) =>
      pending.settled ? [] : pending.rowChecks.map((check) => ({ pending, check }))
    );
    if (checked.length === 0) return false;
    const entries = await getMany(this.#options.kv, checked.map(({ check }) => check.key));
    const stale = checked.filter(({ check }, i) => entries[i]?.versionstamp !== check.versionstamp);
    for (const { pending } of stale) settle(pending, new StaleRowsError());
    return stale.length > 0;
  }

  /** Commits the independent appends at once and the others after a pause. Never rejects. */
  async #split(
    group: readonly PendingAppend[],
    independent: readonly PendingAppend[],
    tries: CommitTries,
  ): Promise<void> {
    const contended = group.filter((pending) => !independent.includes(pending));
    await Promise.all([
      this.run(independent),
      this.#pauseAfter(tries, "conflicts")
        .then(() => this.#run(contended, { ...NO_TRIES, conflicts: tries.conflicts })),
    ]);
  }

  /** Waits longer after each conflict or failure, at random, unless the commit is hurried. */
  #pauseAfter(tries: CommitTries, backoff: "conflicts" | "failures"): Promise<void> {
    const maxMs = backoff === "conflicts" ? COMMIT_BACKOFF.maxMs : MAX_OUTAGE_PAUSE_MS;
    const { random } = this.#options;
    return pause(backoffMs(tries[backoff], { baseMs: 1, maxMs, random }), this.#hurry);
  }
}

/**
 * Returns the appends of `group` that share no channel with the moved ones, nor with another append
 * that does: so the appends of one channel keep their order.
 */
function independentOf(
  moved: ReadonlySet<ChannelKey>,
  group: readonly PendingAppend[],
): readonly PendingAppend[] {
  const blocked = new Set(moved);
  const isIndependent = ({ channelKeys }: PendingAppend) =>
    channelKeys.every((channelKey) => !blocked.has(channelKey));
  for (let before = -1; before !== blocked.size;) {
    before = blocked.size;
    const dependent = group.filter((pending) => !isIndependent(pending));
    for (const channelKey of channelKeysOf(dependent)) blocked.add(channelKey);
  }
  return group.filter(isIndependent);
}

function narrowTexts(pending: PendingAppend): void {
  pending.stored = { ...pending.stored, stored: pending.stored.stored.map(narrowed) };
}

function runOf({ channelKey, head, events }: ChannelPlan): Run {
  return new Run(
    channelKey,
    head.epoch,
    head.last - events.length,
    events.map(({ event }) => event),
  );
}
