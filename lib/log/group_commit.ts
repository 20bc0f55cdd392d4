import { CONFLICT_BACKOFF, CONFLICT_TIMEOUT_MS } from "../kv/commit_retry.ts";
import type { Doorbell } from "../kv/doorbell.ts";
import { keys } from "../kv/keys.ts";
import { storageProblem } from "../kv/storage_problem.ts";
import type { Problem } from "../shared/problem.ts";
import { backoffMs } from "../shared/async/backoff.ts";
import { pause } from "../shared/async/delay.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";
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
import { checkCommits, type SentCommit } from "./commit_check.ts";
import { type CommitPlan, planCommit } from "./commit_plan.ts";
import { movedBy, writeCommit } from "./commit_writes.ts";
import type { HeadCache } from "./head_cache.ts";
import type { LogObserver } from "./log_observer.ts";
import { channelKeysOf, isEssential, type PendingAppend, settle } from "./pending_append.ts";
import { narrowed } from "./record_batch.ts";
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
  /** Returns why events are refused that are not essential. @default undefined */
  readonly refusal?: (() => Problem | undefined) | undefined;
  /** @default undefined */
  readonly observer?: LogObserver | undefined;
  /** Returns whether the outcome of the group no longer matters to anyone. */
  readonly isAbandoned: (group: readonly PendingAppend[]) => boolean;
}

type Attempt =
  | { readonly kind: "committed"; readonly sent: SentCommit; readonly versionstamp: string }
  | { readonly kind: "refused"; readonly sent: SentCommit }
  | { readonly kind: "failed"; readonly cause: unknown; readonly sent: SentCommit | undefined };

/**
 * Stores a group of appends in one atomic commit: plans it, sends it, repeats it after a conflict or
 * an outage, and finds out whether a commit without an answer has arrived. The decisions are in
 * commit_decision.ts.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #isolate = crypto.randomUUID().slice(0, 8);
  #commits = 0;
  readonly #earlyWrites = new SerialQueue();
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

      const check = await checkCommits(this.#options, group, unknown);
      if (check.kind === "arrived") return this.#finish(check.sent.plan, undefined);
      const then = decideAfterCheck(check, tries, hasTime(group));
      if (then.action === "give_up") throw then.problem;
      tries = then.tries;
      if (then.action === "split") return await this.#split(group, then.independent, tries);
      if (then.forgets) unknown.length = 0;
      await this.#pauseAfter(tries, then.backoff);
      // While a commit may still arrive, the heads must be older than the check for it.
      if (unknown.length === 0) this.#forgetHeads(group);
    }
  }

  /**
   * Lets the next attempt read the heads again. Those from before a pause are outdated where others
   * append all the time, and each attempt would be refused.
   */
  #forgetHeads(group: readonly PendingAppend[]): void {
    for (const channelKey of channelKeysOf(group)) this.#options.heads.forget(channelKey);
  }

  /** Plans the group's commit and sends it. Never rejects. */
  async #attempt(group: readonly PendingAppend[]): Promise<Attempt> {
    const { heads, counts, kv, now } = this.#options;
    let sent: SentCommit | undefined;
    try {
      const refusal = this.#options.refusal?.();
      if (refusal !== undefined && !group.every(isEssential)) throw refusal;
      for (const { stored } of group) {
        if (stored.early === undefined) continue;
        await writeEarly(stored.early, { kv, queue: this.#earlyWrites, now: now() });
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
    if (moved.length > 0) doorbell.prepare(atomic, moved);
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
      else heads.set(channelKey, { head, row: { key: keys.head(channelKey), versionstamp } });
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
      doorbell.committed(moved, versionstamp);
    }
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
      this.#pauseAfter(tries, "conflicts").then(() => {
        this.#forgetHeads(contended);
        return this.#run(contended, { ...NO_TRIES, conflicts: tries.conflicts });
      }),
    ]);
  }

  /** Waits longer after each conflict or failure, at random, unless the commit is hurried. */
  #pauseAfter(tries: CommitTries, backoff: "conflicts" | "failures"): Promise<void> {
    const maxMs = backoff === "conflicts" ? CONFLICT_BACKOFF.maxMs : MAX_OUTAGE_PAUSE_MS;
    const { random } = this.#options;
    return pause(backoffMs(tries[backoff], { baseMs: 1, maxMs, random }), this.#hurry);
  }
}

/** Returns whether some of the callers still wait for a commit that comes first. */
function hasTime(group: readonly PendingAppend[]): boolean {
  const oldest = performance.now() - CONFLICT_TIMEOUT_MS;
  return group.some(({ settled, since }) => !settled && since > oldest);
}

function narrowTexts(pending: PendingAppend): void {
  pending.stored = { ...pending.stored, data: pending.stored.data.map(narrowed) };
}

function runOf({ channelKey, head, events }: ChannelPlan): Run {
  return new Run(
    channelKey,
    head.epoch,
    head.last - events.length,
    events.map(({ event }) => event),
  );
}
