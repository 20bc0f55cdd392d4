import assert from "node:assert/strict";
import type { Doorbell } from "../../../lib/kv/doorbell.ts";
import { keys } from "../../../lib/kv/keys.ts";
import { EMBEDDED_TRAITS } from "../../../lib/kv/limits.ts";
import type { StoredHead } from "../../../lib/log/head.ts";
import type { KvLog } from "../../../lib/log/kv_log.ts";
import { RetentionJob } from "../../../lib/log/retention.ts";
import type { ChannelKey } from "../../../lib/shared/channel.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { failingKv } from "../../support/failing_kv.ts";
import { upTo } from "../../support/log_reading.ts";
import { KEEP_ALL, type LogStore, openEmbedded } from "../../support/log_stores.ts";
import { openDamaged } from "../../support/unreadable_rows.ts";
import { watchedKv } from "../../support/watched_kv.ts";

const A = testChannelKey("a");
const B = testChannelKey("b");
const HOUR = 60 * 60 * 1_000;
type JobOptions = ConstructorParameters<typeof RetentionJob>[0];

/** A store with a log that writes to it, and the retention job under test. */
class Fixture implements AsyncDisposable {
  readonly #store: LogStore;
  readonly log: KvLog;
  time = Date.UTC(2026, 0, 1);
  /** What the job has rung, and deleted. */
  readonly rung: ChannelKey[] = [];
  readonly deleted: ChannelKey[] = [];
  readonly warnings: string[] = [];

  private constructor(store: LogStore, log: KvLog) {
    this.#store = store;
    this.log = log;
  }

  static async open(store?: LogStore): Promise<Fixture> {
    store ??= await openEmbedded();
    const fixture: Fixture = new Fixture(
      store,
      await store.isolate({ now: () => fixture.time }),
    );
    return fixture;
  }

  get kv(): Deno.Kv {
    return this.#store.kv;
  }

  job(options: Partial<JobOptions> = {}): RetentionJob {
    return new RetentionJob({
      kv: this.kv,
      doorbell: {
        prepare() {},
        committed: (changes) => {
          this.rung.push(...changes.map(({ channelKey }) => channelKey));
        },
      } as Partial<Doorbell> as Doorbell, // all that retention uses
      maxChecks: EMBEDDED_TRAITS.maxChecks,
      exclusively: (_, work) => work(),
      onWarning: (message) => this.warnings.push(message),
      defaults: KEEP_ALL,
      now: () => this.time,
      monotonicNow: () => this.time,
      deleteWhenEmpty: () => Promise.resolve(false),
      deleteChannel: (channelKey) => Promise.resolve(void this.deleted.push(channelKey)),
      ...options,
    });
  }

  async head(channelKey: ChannelKey): Promise<StoredHead> {
    return (await this.kv.get<StoredHead>(keys.head(channelKey))).value ?? assert.fail();
  }

  /** The last parts of the keys under `prefix`. */
  async rows(...prefix: readonly string[]): Promise<readonly unknown[]> {
    const entries = await Array.fromAsync(this.kv.list({ prefix: [...prefix] }));
    return entries.map(({ key }) => key.at(-1));
  }

  async append(channel: string, ...data: readonly string[]): Promise<void> {
    await this.log.append(data.map((each) => draft(channel, each)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

Deno.test("pass() drops the events beyond each limit, the oldest first", async () => {
  const limits = [{ events: 2 }, { bytes: 25 }, { age: 1_500 }];
  for (const limit of limits) {
    await using fixture = await Fixture.open();
    for (const i of upTo(4)) {
      await fixture.append("a", `${i}`.padEnd(10));
      fixture.time += 1_000;
    }
    fixture.time -= 1_000;
    await fixture.job({ defaults: { ...KEEP_ALL, ...limit } }).pass();
    const { first, last, oldest, startBytes, endBytes } = await fixture.head(A);
    assert.deepEqual([first, last, startBytes, endBytes], [3, 4, 20, 40], JSON.stringify(limit));
    assert.equal(oldest, fixture.time - 1_000);
    assert.deepEqual(await fixture.rows("log"), [3, 4]);
    assert.deepEqual(await fixture.rows("sweep"), []);
    assert.deepEqual(fixture.rung, [A]);
  }
});

Deno.test("pass() leaves channels that are within their limits, and does not ring for them", async () => {
  await using fixture = await Fixture.open();
  await fixture.append("a", "1", "2");
  await fixture.append("b", "1", "2", "3");
  await fixture.log.configure(B, { events: 3 });
  const before = [await fixture.head(A), await fixture.head(B)];
  await fixture.job({ defaults: { ...KEEP_ALL, events: 2 } }).pass();
  assert.deepEqual([await fixture.head(A), await fixture.head(B)], before);
  assert.deepEqual(fixture.rung, []);
});

Deno.test("pass() moves the head within a batch, and keeps the batch until all of it is dropped", async () => {
  await using fixture = await Fixture.open();
  await fixture.append("a", "1", "2", "3");
  await fixture.job({ defaults: { ...KEEP_ALL, events: 1 } }).pass();
  assert.equal((await fixture.head(A)).first, 3);
  assert.deepEqual(await fixture.rows("log"), [3]);
  await fixture.append("a", "4");
  await fixture.job({ defaults: { ...KEEP_ALL, events: 1 } }).pass();
  assert.deepEqual(await fixture.rows("log"), [3, 4], "another isolate has the lease");
  fixture.time += HOUR;
  const job = fixture.job({ defaults: { ...KEEP_ALL, events: 1 } });
  await job.pass(); // sees the lease of the first job
  fixture.time += HOUR;
  await job.pass(); // that lease has expired
  assert.deepEqual(await fixture.rows("log"), [4]);
});

Deno.test("a clock that jumps ahead deletes nothing in its first hour", async () => {
  await using fixture = await Fixture.open();
  const start = fixture.time;
  const job = fixture.job({
    defaults: { ...KEEP_ALL, age: HOUR },
    monotonicNow: () => fixture.time - start - (fixture.time > start + HOUR ? 24 * HOUR : 0),
  });
  await fixture.append("a", "1");
  await job.pass();
  fixture.time += 24 * HOUR;
  await job.pass();
  assert.equal((await fixture.head(A)).first, 1);
  assert.match(fixture.warnings.join(), /1440 minutes ahead/);
  fixture.time += HOUR;
  await job.pass();
  assert.equal((await fixture.head(A)).first, 2);
});

Deno.test("events that a clock far ahead has stored are not kept for years", async () => {
  await using fixture = await Fixture.open();
  const job = fixture.job({ defaults: { ...KEEP_ALL, age: HOUR } });
  const start = fixture.time;
  fixture.time += 10_000 * HOUR;
  await fixture.append("a", "1");
  fixture.time = start;
  const firsts: number[] = [];
  for (let minutes = 0; minutes < 240; minutes += 20) {
    await fixture.append("a", "x".repeat(10));
    await job.pass();
    firsts.push((await fixture.head(A)).first);
    fixture.time += HOUR / 3;
  }
  const { first, last, oldest, startBytes, endBytes } = await fixture.head(A);
  assert.equal(last, 13);
  assert.deepEqual(firsts, [1, 1, 1, 1, 3, 3, 3, 3, 7, 7, 7, 7]);
  assert.deepEqual([endBytes - startBytes, oldest], [
    (last - first + 1) * 10,
    start + 10_000 * HOUR,
  ]);
  assert.deepEqual((await fixture.rows("log")).at(0), first);
});

Deno.test("pass() moves the head before it deletes the batches", async () => {
  await using fixture = await Fixture.open();
  for (const i of upTo(3)) await fixture.append("a", `${i}`);
  const heads: number[] = [];
  const kv = failingKv(fixture.kv, () => undefined, async ({ deleted }) => {
    if (deleted.some(([kind]) => kind === "log")) heads.push((await fixture.head(A)).first);
  });
  await fixture.job({ kv, defaults: { ...KEEP_ALL, events: 1 } }).pass();
  assert.deepEqual(heads, [3]);
});

Deno.test("pass() empties a channel whose last event is too old", async () => {
  await using fixture = await Fixture.open();
  await fixture.append("a", "1", "2");
  fixture.time += 1_001;
  await fixture.job({ defaults: { ...KEEP_ALL, age: 1_000 } }).pass();
  const { first, last, startBytes, endBytes } = await fixture.head(A);
  assert.deepEqual([first, last, startBytes, endBytes], [3, 2, 2, 2]);
  assert.deepEqual(await fixture.rows("log"), []);
});

Deno.test("pass() asks whether to delete empty channels, and no others", async () => {
  await using fixture = await Fixture.open();
  await fixture.log.configure(A, { events: 0 });
  await fixture.append("a", "1");
  await fixture.append("b", "1");
  await fixture.log.configure(testChannelKey("c"), {});
  await fixture.append("d", "1");
  await fixture.log.delete(testChannelKey("d"));
  const asked: ChannelKey[] = [];
  const job = fixture.job({
    deleteWhenEmpty: (channelKey) => {
      asked.push(channelKey);
      return Promise.resolve(channelKey === A);
    },
  });
  await job.pass();
  assert.deepEqual(asked, [testChannelKey("c")], "a has an event at the start of the pass");
  await job.pass();
  assert.deepEqual(asked.slice(1), [A, testChannelKey("c")]);
  assert.deepEqual(fixture.deleted, [A]);
});

Deno.test("pass() keeps an id that a later event has again", async () => {
  await using fixture = await Fixture.open();
  await fixture.log.append([draft("a", "1", { id: "x" })]);
  await fixture.append("a", "2");
  // A pass that was cut off after it had moved the head.
  const head = await fixture.head(A);
  await fixture.kv.set(keys.head(A), { ...head, first: 2, startBytes: 1 });
  await fixture.kv.set(keys.sweep(A, head.epoch), 0);
  await fixture.log.append([draft("a", "another", { id: "x" })]);
  await fixture.job({ defaults: { ...KEEP_ALL, events: 1 } }).pass();
  assert.deepEqual(await fixture.rows("log"), [3]);
  assert.deepEqual((await fixture.kv.get(keys.seen(A, "x"))).value, [head.epoch, 3]);
});

Deno.test("pass() deletes chunks whose commit has not come for an hour, and only those", async () => {
  await using fixture = await Fixture.open();
  const { kv } = fixture;
  const store = async (append: string, time: number) => {
    await kv.set(keys.chunk(A, append, 0), new Uint8Array(1));
    await kv.set(keys.chunk(A, append, 1), new Uint8Array(1));
    await kv.set(keys.orphan(append), { time, blobs: [[A, append]] });
  };
  await store("old", fixture.time - HOUR);
  await store("young", fixture.time - HOUR + 1);
  await fixture.job().pass();
  assert.deepEqual(await fixture.rows("orphan"), ["young"]);
  const chunks = await Array.fromAsync(kv.list({ prefix: ["chunk"] }));
  assert.deepEqual(chunks.map(({ key }) => key.slice(-2)), [["young", 0], ["young", 1]]);
});

Deno.test("pass() does nothing while another isolate holds the lease, until it releases it", async () => {
  await using fixture = await Fixture.open();
  const first = fixture.job();
  await first.pass();
  await fixture.append("a", "1", "2");
  let uses = 0;
  const kv = watchedKv(fixture.kv, () => uses++);
  const second = fixture.job({ kv, defaults: { ...KEEP_ALL, events: 1 } });
  await second.pass();
  assert.equal(uses, 1, "it reads the lease only");
  assert.equal((await fixture.head(A)).first, 1);
  await first.release();
  await second.pass();
  assert.equal((await fixture.head(A)).first, 2);
});

Deno.test("pass() skips a channel whose head cannot be read, and reports it", async () => {
  const store = await openDamaged();
  await using fixture = await Fixture.open(store);
  for (const channel of ["a", "b", "c"]) await fixture.append(channel, "1", "2");
  await fixture.kv.set(keys.sweep(B, (await fixture.head(B)).epoch), 0);
  await store.damage(keys.head(B));
  await fixture.job({ defaults: { ...KEEP_ALL, events: 1 } }).pass();
  assert.deepEqual(fixture.rung, [A, testChannelKey("c")]);
  assert.equal(fixture.warnings.length, 2, "for the head and for the sweep");
  assert.match(fixture.warnings[0] ?? "", /skipped head\/default\/b/);
});

Deno.test("pass() skips a head of an unknown form, and reports it", async () => {
  await using fixture = await Fixture.open();
  for (const channel of ["a", "b"]) await fixture.append(channel, "1", "2");
  await fixture.kv.set(keys.head(A), null);
  await fixture.job({ defaults: { ...KEEP_ALL, events: 1 } }).pass();
  assert.deepEqual(fixture.rung, [B]);
  assert.equal(fixture.warnings.length, 1);
});

Deno.test("pass() deletes a batch that cannot be read, and those of other channels", async () => {
  const store = await openDamaged();
  await using fixture = await Fixture.open(store);
  for (const i of upTo(4)) {
    await fixture.append("a", `${i}`);
    await fixture.append("b", `${i}`);
  }
  const { epoch } = await fixture.head(A);
  await store.damage(keys.batch(A, epoch, 2));
  await fixture.job({ defaults: { ...KEEP_ALL, bytes: 1 } }).pass();
  assert.deepEqual(await fixture.rows("log"), [4, 4]);
  assert.deepEqual(await fixture.rows("sweep"), []);
  assert.deepEqual(fixture.warnings, [`retention skipped ${keys.batch(A, epoch, 2).join("/")}`]);
});

Deno.test("pass() skips orphans and sweeps that cannot be read", async () => {
  const store = await openDamaged();
  await using fixture = await Fixture.open(store);
  const { kv } = fixture;
  await fixture.append("b", "1", "2");
  const marker = keys.sweep(A, (await fixture.head(B)).epoch);
  await kv.set(marker, 0);
  await store.damage(marker);
  for (const append of ["1", "2", "3"]) {
    await kv.set(keys.orphan(append), { time: fixture.time - HOUR, blobs: [] });
  }
  await store.damage(keys.orphan("1"));
  await kv.set(keys.orphan("2"), { time: fixture.time - HOUR });
  await fixture.job({ defaults: { ...KEEP_ALL, events: 1 } }).pass();
  const left = await kv.get(keys.orphan("3"));
  assert.equal(left.versionstamp, null);
  assert.equal((await fixture.head(B)).first, 2);
  assert.equal(fixture.warnings.length, 3);
});

Deno.test("pass() reports few of many problems, and their number", async () => {
  await using fixture = await Fixture.open();
  for (const i of upTo(30)) await fixture.kv.set(keys.head(testChannelKey(`c${i}`)), null);
  await fixture.append("z", "1", "2");
  await fixture.job({ defaults: { ...KEEP_ALL, events: 1 } }).pass();
  assert.deepEqual(fixture.rung, [testChannelKey("z")]);
  assert.equal(fixture.warnings.length, 11);
  assert.match(fixture.warnings.at(-1) ?? "", /skipped 30 /);
});

Deno.test("pass() ends at once if the store accepts no commits", async () => {
  await using fixture = await Fixture.open();
  for (const i of upTo(5)) await fixture.append(`c${i}`, "1", "2");
  let commits = 0;
  const kv = failingKv(fixture.kv, ({ set }) => {
    if (!set.some(([kind]) => kind === "head")) return undefined;
    commits++;
    return "database or disk is full";
  });
  await assert.rejects(fixture.job({ kv, defaults: { ...KEEP_ALL, events: 1 } }).pass(), /full/);
  assert.equal(commits, 1);
});
