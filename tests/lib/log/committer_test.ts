import assert from "node:assert/strict";
import { STORE_TIMEOUT_MS } from "../../../lib/kv/limits.ts";
import { ChannelCounts } from "../../../lib/log/channel_counts.ts";
import { Committer } from "../../../lib/log/committer.ts";
import { Contention } from "../../../lib/log/contention.ts";
import { HeadCache } from "../../../lib/log/head_cache.ts";
import type { Run } from "../../../lib/log/run.ts";
import { channelOf } from "../../../lib/shared/channel.ts";
import { parseOffset } from "../../../lib/shared/offset.ts";
import { FakeClock } from "../../support/clock.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { failingKv } from "../../support/failing_kv.ts";
import { problem, upTo } from "../../support/log_reading.ts";
import { SILENT_DOORBELL } from "../../support/silent_doorbell.ts";
import { until } from "../../support/until.ts";

interface FixtureOptions {
  readonly maxChecks?: number;
  readonly maxCommitsInFlight?: number;
  /** Returns the message with which a commit fails. */
  readonly fault?: () => string | undefined;
}

/** A committer whose commits wait until the test lets them through. */
class Fixture implements Disposable {
  readonly kv: Deno.Kv;
  readonly committer: Committer;
  /** The channels of each commit that was sent, as text. */
  readonly commits: string[] = [];
  readonly runs: Run[] = [];
  readonly #gates: (() => void)[] = [];
  #isOpen = false;

  private constructor(kv: Deno.Kv, options: FixtureOptions) {
    const { maxChecks = 100, maxCommitsInFlight = 1, fault = () => undefined } = options;
    this.kv = kv;
    const gated = failingKv(kv, fault, async ({ set }) => {
      const heads = set.filter(([kind]) => kind === "head");
      this.commits.push(heads.map((key) => key.at(-1)).join(" "));
      if (!this.#isOpen) await new Promise<void>((resolve) => this.#gates.push(resolve));
    });
    const heads = new HeadCache(gated);
    this.committer = new Committer({
      kv: gated,
      doorbell: SILENT_DOORBELL,
      traits: { isShared: false, maxChecks, maxCommitsInFlight },
      heads,
      contention: new Contention(SILENT_DOORBELL, heads),
      counts: new ChannelCounts(gated, Infinity, Date.now),
      now: Date.now,
      random: () => 0,
      isListened: (channelKey) => channelOf(channelKey) !== "unheard",
      onCommitted: (run) => this.runs.push(run),
    });
  }

  static async open(options: FixtureOptions = {}): Promise<Fixture> {
    return new Fixture(await Deno.openKv(":memory:"), options);
  }

  append(channel: string, data = "1"): Promise<number> {
    return this.committer.append([draft(channel, data)])
      .then(([appended]) => parseOffset(appended?.offset ?? "").sequence);
  }

  /** Resolves once this many commits were sent. */
  async sent(count: number): Promise<void> {
    await until(`${count} commits are sent`, () => this.commits.length >= count);
  }

  /** Lets the oldest waiting commit through. */
  letOne(): void {
    this.#gates.shift()?.();
  }

  /** Lets all commits through, now and from now on. */
  letAll(): void {
    this.#isOpen = true;
    for (const pass of this.#gates.splice(0)) pass();
  }

  [Symbol.dispose](): void {
    this.kv.close();
  }
}

Deno.test("appends with early chunks let others commit, and write their chunks in turn", async () => {
  using fixture = await Fixture.open();
  const large = ["a", "b"].map((channel) => fixture.append(channel, "x".repeat(1_000_000)));
  await fixture.sent(1);
  const small = fixture.append("c");
  await fixture.sent(2);
  assert.deepEqual(fixture.commits, ["", "c"], "chunks of one append, and the small append");
  fixture.letAll();
  assert.deepEqual(await Promise.all([...large, small]), [1, 1, 1]);
  const stored = fixture.commits.filter((channels) => channels !== "");
  assert.deepEqual(stored.toSorted(), ["a", "b", "c"]);
  await fixture.committer.close();
});

Deno.test("an append with early chunks keeps its place in its channel", async () => {
  using fixture = await Fixture.open();
  const large = fixture.append("a", "x".repeat(1_000_000));
  await fixture.sent(1);
  const small = fixture.append("a");
  fixture.letAll();
  assert.deepEqual(await Promise.all([large, small]), [1, 2]);
  await fixture.committer.close();
});

Deno.test("appends that arrive during a commit go together into the next one", async () => {
  using fixture = await Fixture.open();
  const first = fixture.append("a");
  await fixture.sent(1);
  const others = ["a", "b", "a", "c"].map((channel) => fixture.append(channel));
  fixture.letAll();
  assert.deepEqual(await Promise.all([first, ...others]), [1, 2, 1, 3, 1]);
  assert.deepEqual(fixture.commits, ["a", "a b c"]);
  await fixture.committer.close();
});

Deno.test("commits in flight have different channels", async () => {
  using fixture = await Fixture.open({ maxCommitsInFlight: 3 });
  // One after the other: commits in flight together may reach the store in any order.
  const appends = [fixture.append("a")];
  await fixture.sent(1);
  appends.push(fixture.append("b"), fixture.append("a"));
  await fixture.sent(2);
  appends.push(fixture.append("b"), fixture.append("c"));
  await fixture.sent(3);
  assert.deepEqual(fixture.commits, ["a", "b", "c"]);
  fixture.letOne();
  await fixture.sent(4);
  assert.equal(fixture.commits[3], "a", "b still has a commit in flight");
  fixture.letAll();
  assert.deepEqual(await Promise.all(appends), [1, 1, 2, 2, 1]);
  await fixture.committer.close();
});

Deno.test("exclusively() precedes the appends that wait, and none is sent meanwhile", async () => {
  using fixture = await Fixture.open();
  const first = fixture.append("a");
  await fixture.sent(1);
  const end = Promise.withResolvers<void>();
  const starts: number[] = [];
  const turns = upTo(2).map((turn) =>
    fixture.committer.exclusively(testChannelKey("a"), () => {
      starts.push(turn);
      return end.promise;
    })
  );
  const waiting = fixture.append("a");
  const other = fixture.append("b");
  assert.deepEqual(starts, [], "an append is under way");
  fixture.letAll();
  assert.equal(await first, 1);
  assert.equal(await other, 1);
  assert.deepEqual(starts, [1]);
  assert.deepEqual(fixture.commits, ["a", "b"]);
  end.resolve();
  await Promise.all(turns);
  assert.deepEqual(starts, [1, 2]);
  assert.equal(await waiting, 2);
  await fixture.committer.close();
});

Deno.test("exclusively() frees the channel when its work fails", async () => {
  using fixture = await Fixture.open();
  fixture.letAll();
  const failed = fixture.committer.exclusively(testChannelKey("a"), () => {
    return Promise.reject(new Error("fails"));
  });
  const append = fixture.append("a");
  await assert.rejects(failed, /fails/);
  assert.equal(await append, 1);
  await fixture.committer.close();
});

Deno.test("runs of channels with a listener are passed on in the order of their sequences", async () => {
  using fixture = await Fixture.open();
  fixture.letAll();
  for (const i of upTo(3)) {
    await Promise.all([fixture.append("a", `${i}`), fixture.append("unheard")]);
  }
  assert.deepEqual(fixture.runs.map(({ after, last }) => [after, last]), [[0, 1], [1, 2], [2, 3]]);
  assert.ok(fixture.runs.every(({ channelKey }) => channelKey === testChannelKey("a")));
  await fixture.committer.close();
});

Deno.test("an append to more channels than the store can check is refused", async () => {
  using fixture = await Fixture.open({ maxChecks: 4 });
  fixture.letAll();
  const drafts = (count: number) => upTo(count).map((i) => draft(`c${i}`, "1"));
  await assert.rejects(fixture.committer.append(drafts(4)), problem("too_many_channels"));
  assert.equal((await fixture.committer.append(drafts(3))).length, 3);
  await fixture.committer.close();
});

Deno.test("a failed commit fails the appends of its group, and the next ones are tried", async () => {
  const faults: (string | undefined)[] = ["disk is full"];
  using fixture = await Fixture.open({ fault: () => faults.shift() });
  const first = fixture.append("a");
  await fixture.sent(1);
  const second = fixture.append("a");
  const refused = assert.rejects(first, problem("storage_full"));
  fixture.letAll();
  await refused;
  assert.equal(await second, 1);
  await fixture.committer.close();
});

Deno.test("close() refuses new appends, and waits for those before", async () => {
  using fixture = await Fixture.open();
  const first = fixture.append("a");
  await fixture.sent(1);
  const second = fixture.append("a");
  let isClosed = false;
  const closed = fixture.committer.close().then(() => isClosed = true);
  await assert.rejects(fixture.append("a"), problem("shutting_down"));
  fixture.letOne();
  assert.equal(await first, 1);
  await fixture.sent(2);
  assert.equal(isClosed, false);
  fixture.letAll();
  assert.equal(await second, 2);
  await closed;
});

Deno.test("appends without an answer time out: what was sent is unknown, the others are not stored", async () => {
  using fixture = await Fixture.open();
  using clock = new FakeClock({ replaces: ["intervals", "performance"] });
  const sent = fixture.append("a");
  const unsent = fixture.append("a");
  const outcomes: string[] = [];
  const record = (name: string) => (cause: { readonly code: string }) => {
    outcomes.push(`${name} ${cause.code}`);
  };
  const all = Promise.all([sent.catch(record("sent")), unsent.catch(record("unsent"))]);
  await fixture.sent(1);
  clock.advance(STORE_TIMEOUT_MS - 1);
  await fixture.kv.get(["a"]); // a turn, in which an early answer would come
  assert.deepEqual(outcomes, []);
  clock.advance(251);
  await all;
  assert.deepEqual(outcomes, ["sent commit_unknown", "unsent storage_unavailable"]);
  fixture.letAll();
  const later = fixture.append("a");
  assert.equal(await later, 2, "the commit has arrived after all");
  await fixture.committer.close();
});

Deno.test("close() does not wait for the commit of an append that has timed out", async () => {
  using fixture = await Fixture.open({ fault: () => "connection reset" });
  using clock = new FakeClock({ replaces: ["intervals", "performance"] });
  const outcome = assert.rejects(fixture.append("a"), problem("commit_unknown"));
  await fixture.sent(1);
  const closed = fixture.committer.close();
  clock.advance(STORE_TIMEOUT_MS + 250);
  await outcome;
  await closed;
  fixture.letAll();
  await fixture.kv.get(["a"]);
  assert.deepEqual(fixture.commits, ["a"], "it is not sent again");
});
