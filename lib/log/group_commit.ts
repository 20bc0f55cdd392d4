import { CONFLICT_BACKOFF, CONFLICT_TIMEOUT_MS } from "../kv/commit_retry.ts";
import type { ChannelChange, Doorbell } from "../kv/doorbell.ts";
import { isTooLarge, storageProblem } from "../kv/storage_problem.ts";
import { Problem } from "../shared/problem.ts";
import { backoffMs } from "../shared/async/backoff.ts";
import { pause } from "../shared/async/delay.ts";
import { SerialQueue } from "../shared/async/serial_queue.ts";
import type { ChannelKey } from "../shared/channel.ts";
import { writeEarly } from "./blobs.ts";
import type { AppendTracer } from "./append_tracer.ts";
import { carriedBy } from "./carried_events.ts";
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
import type { Contention } from "./contention.ts";
import type { HeadCache } from "./head_cache.ts";
import type { LogObserver } from "./log_observer.ts";
import { channelKeysOf, isEssential, type PendingAppend, settle } from "./pending_append.ts";
import { narrowed } from "./record_batch.ts";
import { Run } from "./run.ts";

/** Upper bound of the pause after a failed attempt while the store does not answer. */
const MAX_OUTAGE_PAUSE_MS = 1_024;

const NO_CHANNELS: ReadonlySet<ChannelKey> = new Set();

export interface GroupCommitOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  readonly heads: HeadCache;
  readonly contention: Contention;
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
  /** @default undefined */
  readonly tracer?: AppendTracer | undefined;
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
    let unknown: SentCommit[] = [];
    while (!this.#options.isAbandoned(group)) {
      const start = performance.now();
      const attempt = await this.#attempt(group, unknown.length === 0);
      this.#options.tracer?.attempted({
        group,
        start,
        end: performance.now(),
        outcome: attempt.kind,
        conflicts: tries.conflicts,
      });
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
      else if (tries.failures > 0) await this.#pauseUntilHeard(channelKeysOf(group), tries);

      const check = await checkCommits(this.#options, group, unknown);
      if (check.kind === "arrived") return this.#finish(check.sent.plan, undefined);
      const moved = check.kind === "failed" ? NO_CHANNELS : check.moved;
      const then = decideAfterCheck(check, tries, hasTime(group));
      if (then.action === "give_up") throw then.problem;
      tries = then.tries;
      if (then.action === "split") {
        return await this.#split(group, { independent: then.independent, moved }, tries);
      }
      if (then.forgets) unknown = [];
      else if (check.kind === "not_found") {
        unknown = unknown.filter((sent) => this.#canArrive(sent));
      }
      for (const channelKey of moved) this.#options.contention.lost(channelKey);
      if (check.kind === "failed") {
        await this.#pauseAfter(tries, then.backoff);
      } else if (unknown.length === 0) {
        await this.#pauseUntilHeard(moved, tries);
        this.#renewHeads(group);
      }
      // While a commit may still arrive, the heads must be older than the check for it. So the pause
      // was before the check, and the next attempt follows at once.
    }
  }

  /**
   * Returns whether the commit, which a check has not found, may still arrive: the heads that it
   * checks were unchanged when the check read them.
   */
  #canArrive({ plan }: SentCommit): boolean {
    return plan.channels.every(({ channelKey, before }) =>
      this.#options.heads.peek(channelKey)?.row.versionstamp === before.row.versionstamp
    );
  }

  /**
   * Takes heads that were heard of, or lets the next attempt read the others again. Those from before
   * a pause are outdated where others append all the time, and each attempt would be refused.
   */
  #renewHeads(group: readonly PendingAppend[]): void {
    const { contention, heads } = this.#options;
    for (const channelKey of channelKeysOf(group)) {
      if (!contention.adopt(channelKey)) heads.forget(channelKey);
    }
  }

  /** Pauses after a conflict, at most until news of one of these channels come. */
  #pauseUntilHeard(channelKeys: ReadonlySet<ChannelKey>, tries: CommitTries): Promise<void> {
    return this.#options.contention.heard(channelKeys, this.#pauseAfter(tries, "conflicts"));
  }

  /**
   * Plans the group's commit and sends it. Never rejects.
   *
   * @param mayAdopt whether no earlier commit of the group may still arrive.
   */
  async #attempt(group: readonly PendingAppend[], mayAdopt: boolean): Promise<Attempt> {
    const { heads, counts, contention, kv, now } = this.#options;
    let sent: SentCommit | undefined;
    try {
      const refusal = this.#options.refusal?.();
      if (refusal !== undefined && !group.every(isEssential)) throw refusal;
      for (const { stored } of group) {
        if (stored.early === undefined) continue;
        await writeEarly(stored.early, { kv, queue: this.#earlyWrites, now: now() });
      }
      const channelKeys = channelKeysOf(group);
      if (mayAdopt) {
        for (const channelKey of channelKeys) contention.adopt(channelKey);
      }
      await heads.load(channelKeys);
      await counts.load(channelKeys, heads);
      const plan = await planCommit({ kv, heads, counts }, group, now());
      sent = { id: `${this.#isolate}${this.#commits++}`, plan };
      const versionstamp = await this.#send(sent);
      return versionstamp === undefined
        ? { kind: "refused", sent }
        : { kind: "committed", sent, versionstamp };
    } catch (cause) {
      // Refusals are Problems. What is too large for the store was not sent to it.
      if (!(cause instanceof Problem) && !isTooLarge(cause)) {
        this.#options.observer?.storeFailed(sent === undefined ? "read" : "commit");
      }
      return { kind: "failed", cause, sent };
    }
  }

  /** Returns the commit's versionstamp, or undefined if a row that it checks has changed. */
  async #send({ id, plan }: SentCommit): Promise<string | undefined> {
    const { kv, doorbell, observer } = this.#options;
    const atomic = kv.atomic();
    writeCommit(atomic, id, plan);
    const moved = movedBy(plan);
    if (moved.length > 0) {
      const carried = carriedBy(moved, doorbell.maxCarriedBytes ?? 0);
      doorbell.prepare(atomic, this.#changesOf(moved, carried));
    }
    const start = performance.now();
    const result = await atomic.commit();
    const events = moved.reduce((sum, channel) => sum + channel.events.length, 0);
    observer?.committed(result.ok ? "stored" : "conflict", events, performance.now() - start);
    return result.ok ? result.versionstamp : undefined;
  }

  /** Answers the appends and passes the new runs on. `versionstamp` is undefined if it is unknown. */
  #finish(plan: CommitPlan, versionstamp: string | undefined): void {
    const { heads, contention, isListened, onCommitted, doorbell, observer } = this.#options;
    const moved = movedBy(plan);
    for (const { channelKey, head } of moved) {
      if (versionstamp === undefined) heads.forget(channelKey);
      else heads.setCommitted(channelKey, head, versionstamp);
      contention.committed(channelKey, versionstamp);
    }
    // At once, since other isolates wait for their turn.
    if (moved.length > 0) doorbell.committed(this.#changesOf(moved), versionstamp);
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
  }

  /** Returns what the doorbell passes on. Heads are for the others that append to a channel. */
  #changesOf(
    moved: readonly ChannelPlan[],
    carried: readonly unknown[] = [],
  ): readonly ChannelChange[] {
    const { contention } = this.#options;
    return moved.map(({ channelKey, head }, i) => ({
      channelKey,
      head: contention.has(channelKey) ? head : undefined,
      carried: carried[i],
    }));
  }

  /** Commits the independent appends at once and the others after a pause. Never rejects. */
  async #split(
    group: readonly PendingAppend[],
    { independent, moved }: {
      readonly independent: readonly PendingAppend[];
      readonly moved: ReadonlySet<ChannelKey>;
    },
    tries: CommitTries,
  ): Promise<void> {
    const contended = group.filter((pending) => !independent.includes(pending));
    for (const channelKey of moved) this.#options.contention.lost(channelKey);
    await Promise.all([
      this.run(independent),
      this.#pauseUntilHeard(moved, tries).then(() => {
        this.#renewHeads(contended);
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
