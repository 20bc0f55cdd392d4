import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { DEFAULT_TENANT } from "../../../lib/shared/channel.ts";
import { ORIGIN } from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { type CommitKeys, failingKv, overridingKv } from "../../support/failing_kv.ts";
import { problem, readEvents, sequencesOf, upTo } from "../../support/log_reading.ts";
import { KEEP_ALL, type LogStore, openEmbedded, STORES } from "../../support/log_stores.ts";
import { logContract } from "./log_contract.ts";
import { skippedTime } from "../../support/skipped_time.ts";
import { openDamaged } from "../../support/unreadable_rows.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");
const B = testChannelKey("b");
const HOUR = 60 * 60 * 1_000;

for (const { name, ignore, open } of STORES) {
  logContract(name, open, { ignore, tooManyChannels: name === "denokv" ? 10 : 100 });
  rowTests(name, open, ignore);
}

/** Tests that the log leaves no rows in its store which nothing refers to. */
function rowTests(name: string, open: () => Promise<LogStore>, ignore: boolean) {
  const test = (behaviour: string, body: (store: LogStore) => Promise<void>) =>
    Deno.test(`${behaviour} (${name})`, { ignore }, async () => {
      await using store = await open();
      await body(store);
    });

  test("retention deletes batches, chunks and ids of what it dropped", async (store) => {
    const log = await store.isolate();
    await log.configure(A, { events: 1 });
    for (const i of upTo(3)) {
      await log.append([
        draft("a", `${i}`, { id: `small ${i}` }),
        draft("a", new Uint8Array(150_000), { id: `large ${i}` }),
        draft("a", new Uint8Array(800_000), { id: `huge ${i}` }),
        draft("a", `last ${i}`, { id: `last ${i}` }),
      ]);
    }
    await log.append([draft("a", "the end", { id: "the end" })]);
    await log.retain();
    assert.deepEqual(await rows(store, "log"), [13]);
    assert.deepEqual(await rows(store, "seen"), ["the end"]);
    assert.deepEqual(await rows(store, "chunk"), []);
    assert.deepEqual(await rows(store, "sweep"), []);
    assert.deepEqual(await rows(store, "orphan"), []);
  });

  test("retention keeps a batch until it has dropped all of its events", async (store) => {
    const log = await store.isolate();
    await log.append(upTo(4).map((i) => draft("a", `${i}`, { id: `${i}` })));
    await log.configure(A, { events: 2 });
    await log.retain();
    assert.deepEqual(await rows(store, "log"), [4]);
    assert.deepEqual(sequencesOf(await readEvents(log, A)), [3, 4]);
    await log.append([draft("a", "5"), draft("a", "6")]);
    await log.retain();
    assert.deepEqual(await rows(store, "log"), [6]);
    assert.deepEqual(await rows(store, "seen"), []);
  });

  test("retention deletes all rows of an epoch that has ended", async (store) => {
    const log = await store.isolate();
    await log.append([
      draft("a", "1", { id: "1" }),
      draft("a", new Uint8Array(150_000), { id: "2" }),
    ]);
    await log.delete(A);
    await log.append([draft("a", "new", { id: "1" })]);
    await log.retain();
    assert.deepEqual(await rows(store, "log"), [1]);
    assert.deepEqual(await rows(store, "seen"), ["1"]);
    assert.deepEqual(await rows(store, "chunk"), []);
    await log.delete(A);
    await log.retain();
    for (const prefix of ["log", "seen", "chunk", "sweep"]) {
      assert.deepEqual(await rows(store, prefix), [], prefix);
    }
  });

  test("retention moves the start of a channel to which others always append", async (store) => {
    const other = await store.isolate();
    for (const i of upTo(10)) await other.append([draft("a", `${i}`)]);
    let appends = 0;
    const kv = failingKv(store.kv, () => undefined, async (commit) => {
      if (!touches(commit, "a") || isOfEvents(commit) || appends === 3) return;
      appends++;
      await other.append([draft("a", "meanwhile")]);
    });
    const log = await store.isolate({ kv, retention: { ...KEEP_ALL, events: 4 } });
    await log.retain();
    assert.equal(appends, 3, "they came before its commits");
    assert.deepEqual(await rows(store, "log"), [7, 8, 9, 10, 11, 12, 13]);
  });

  test("retention deletes many rows and ids in each commit", async (store) => {
    const count = 120;
    const other = await store.isolate();
    for (const i of upTo(count + 1)) await other.append([draft("a", `${i}`, { id: `${i}` })]);
    let commits = 0;
    const counted = failingKv(store.kv, () => undefined, () => Promise.resolve(void commits++));
    const kv = overridingKv(counted, {
      delete: async (key: Deno.KvKey) => {
        commits++;
        await store.kv.delete(key);
      },
    });
    const log = await store.isolate({ kv, retention: { ...KEEP_ALL, events: 1 } });
    await log.retain();
    assert.deepEqual(await rows(store, "log"), [count + 1]);
    assert.deepEqual(await rows(store, "seen"), [`${count + 1}`]);
    // In addition: the lease, the head and the end of the sweep.
    const maxChecks = name === "denokv" ? 10 : 100;
    assert.ok(commits <= Math.ceil(count / maxChecks) + 4, `${commits} commits`);
  });

  test("retention keeps an id that a later event takes just before its commit", async (store) => {
    const other = await store.isolate();
    for (const i of upTo(3)) await other.append([draft("a", `${i}`, { id: `${i}` })]);
    let repeats = 0;
    const kv = failingKv(store.kv, () => undefined, async ({ deleted }) => {
      if (repeats > 0 || !deleted.some(([kind]) => kind === "seen")) return;
      repeats++;
      await other.append([draft("a", "another", { id: "1" })]);
    });
    const log = await store.isolate({ kv, retention: { ...KEEP_ALL, events: 1 } });
    await log.retain();
    assert.equal(repeats, 1);
    assert.deepEqual(await rows(store, "log"), [3, 4]);
    assert.deepEqual(await rows(store, "seen"), ["1", "3"]);
    const [repeated] = await other.append([draft("a", "another", { id: "1" })]);
    assert.equal(repeated?.duplicate, true);
  });

  test("a repeated large event leaves no chunks of its own", async (store) => {
    let time = Date.UTC(2026, 0, 1);
    const log = await store.isolate({ now: () => time });
    const large = draft("a", new Uint8Array(150_000), { id: "large" });
    const huge = draft("a", new Uint8Array(800_000), { id: "huge" });
    await log.append([large]);
    await log.append([huge]);
    const before = await rows(store, "chunk");
    await log.append([large]);
    await log.append([huge]);
    await log.append([large, draft("a", "1"), huge, huge]);
    await assert.rejects(
      log.append([{ ...huge, data: new Uint8Array(800_000).fill(1) }]),
      problem("idempotency_conflict", 0),
    );
    time += 2 * HOUR;
    await log.retain();
    assert.deepEqual(await rows(store, "chunk"), before);
    assert.deepEqual(await rows(store, "orphan"), []);
    assert.deepEqual(sequencesOf(await readEvents(log, A)), [1, 2, 3]);
  });

  test("chunks whose event was never committed are deleted after an hour", async (store) => {
    let time = Date.UTC(2026, 0, 1);
    const kv = failingKv(store.kv, (commit) => isOfEvents(commit) ? "disk is full" : undefined);
    const broken = await store.isolate({ kv, now: () => time });
    const log = await store.isolate({ now: () => time });
    const huge = draft("a", new Uint8Array(1_000_000));
    await assert.rejects(broken.append([huge]), problem("storage_full"));
    const left = (await rows(store, "chunk")).length;
    assert.ok(left > 10);
    time += HOUR - 1;
    await log.append([huge]);
    await log.retain();
    assert.equal((await rows(store, "chunk")).length, 2 * left);
    time += 1;
    await log.retain();
    assert.equal((await rows(store, "chunk")).length, left);
    assert.deepEqual(await rows(store, "orphan"), []);
    assert.deepEqual(sequencesOf(await readEvents(log, A)), [1]);
  });
}

Deno.test("append() refuses while too many events wait, and accepts once they are stored", async () => {
  await using store = await openEmbedded();
  const gate = Promise.withResolvers<void>();
  const log = await store.isolate({ kv: failingKv(store.kv, () => undefined, gate.promise) });
  const appends = upTo(10_001).map((i) => log.append([draft(`c${i % 7}`, `${i}`)]));
  await assert.rejects(log.append([draft("a", "1")]), problem("overloaded"));
  gate.resolve();
  await Promise.all(appends);
  await log.append([draft("a", "1")]);
  const channels = await log.channels(DEFAULT_TENANT, "", 100);
  assert.equal(channels.reduce((sum, { last }) => sum + last, 0), 10_002);
});

Deno.test("append() refuses while too many bytes wait", async () => {
  await using store = await openEmbedded();
  const gate = Promise.withResolvers<void>();
  const kv = failingKv(store.kv, () => "disk is full", gate.promise);
  const log = await store.isolate({ kv });
  const large = draft("a", new Uint8Array(1_000_000));
  const failed: unknown[] = [];
  const appends = upTo(68).map(() => log.append([large]).catch((cause) => failed.push(cause)));
  await assert.rejects(log.append([draft("a", "1")]), problem("overloaded"));
  gate.resolve();
  await Promise.all(appends);
  assert.equal(failed.length, 68);
  assert.ok(failed.every(problem("storage_full")));
  await assert.rejects(log.append([draft("a", "1")]), problem("storage_full"));
});

Deno.test("append() reports an error of the store at once if waiting cannot help", async () => {
  await using store = await openEmbedded();
  let fault = "database or disk is full";
  const log = await store.isolate({ kv: failingKv(store.kv, () => fault) });
  await assert.rejects(log.append([draft("a", "1")]), problem("storage_full"));
  fault = "attempt to write a readonly database";
  await assert.rejects(log.append([draft("a", "1")]), problem("storage_read_only"));
  fault = "Value too large (max 65536 bytes)";
  await assert.rejects(log.append([draft("a", "1")]), problem("internal"));
});

Deno.test("while the disk is full, only essential events are stored, and channels can be deleted", async () => {
  await using store = await openEmbedded();
  let isFull = false;
  const freed: number[] = [];
  const log = await store.isolate({
    room: {
      refusal: () => isFull ? new Problem("storage_full", "The disk is full.") : undefined,
      freed: (bytes) => freed.push(bytes),
    },
  });
  await log.append(upTo(10).map(() => draft("a", new Uint8Array(50_000))));
  isFull = true;
  await assert.rejects(log.append([draft("a", "1")]), problem("storage_full"));
  const essential = { ...draft("b", "1"), isEssential: true };
  await assert.rejects(log.append([essential, draft("b", "2")]), problem("storage_full"));
  await log.append([essential]);
  await log.configure(B, { events: 10 });
  assert.deepEqual(freed, []);
  assert.equal(await log.delete(A), true);
  await until("the rows are deleted", async () => (await rows(store, "log")).length === 1);
  // The store tells of a commit before the log does.
  await until("it is known", () => freed.reduce((sum, bytes) => sum + bytes, 0) >= 500_000);
});

Deno.test("events that wait when the disk gets full are refused with the others", async () => {
  await using store = await openEmbedded();
  let isFull = false;
  const gate = Promise.withResolvers<void>();
  const log = await store.isolate({
    kv: failingKv(store.kv, () => undefined, gate.promise),
    room: {
      refusal: () => isFull ? new Problem("storage_full", "The disk is full.") : undefined,
      freed() {},
    },
  });
  const first = log.append([draft("a", "1")]);
  const waiting = log.append([draft("a", "2")]);
  isFull = true;
  gate.resolve();
  await first;
  await assert.rejects(waiting, problem("storage_full"));
});

Deno.test("append() reports an unknown outcome if an earlier attempt may have arrived", async () => {
  await using store = await openEmbedded();
  const faults = ["connection reset", "database or disk is full"];
  const log = await store.isolate({
    kv: failingKv(store.kv, () => faults.shift()),
    random: () => 0,
  });
  await assert.rejects(log.append([draft("a", "1")]), problem("commit_unknown"));
});

Deno.test("append() refuses names that are together too long for one commit", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  const drafts = upTo(99).map((i) => draft(`${i} `.padEnd(256, "c"), "1", { id: "i".repeat(256) }));
  await assert.rejects(log.append(drafts), problem("too_many_channels"));
  assert.deepEqual(await log.channels(DEFAULT_TENANT, "", 1), []);
  await Promise.all(drafts.map((one) => log.append([one])));
  assert.equal((await log.channels(DEFAULT_TENANT, "", 100)).length, 99);
});

Deno.test("append() retries while the store fails temporarily, and stores each event once", async () => {
  await using store = await openEmbedded();
  for (const when of ["before", "after"] as const) {
    let failures = 3;
    const fail = () => failures-- > 0 ? "connection reset" : undefined;
    const kv = failingKv(store.kv, fail, undefined, when);
    const log = await store.isolate({ kv, random: () => 0.01 });
    await Promise.all([
      log.append([draft("a", `${when} 1`)]),
      log.append([draft("a", `${when} 2`), draft("b", `${when} 2`)]),
      log.append([draft("b", `${when} 3`)]),
    ]);
  }
  const log = await store.isolate();
  const data = async (channel: string) =>
    (await readEvents(log, testChannelKey(channel))).map(({ data }) => data);
  assert.deepEqual(await data("a"), ["before 1", "before 2", "after 1", "after 2"]);
  assert.deepEqual(await data("b"), ["before 2", "before 3", "after 2", "after 3"]);
});

Deno.test("append() gives up as contended if other isolates commit first until its time is over", async () => {
  await using store = await openEmbedded();
  using time = skippedTime();
  const other = await store.isolate();
  const kv = failingKv(store.kv, () => undefined, async () => {
    await other.append([draft("a", "theirs")]);
    time.skip(100);
  });
  const log = await store.isolate({ kv, random: () => 0.001 });
  await assert.rejects(log.append([draft("a", "mine")]), problem("contended"));
  assert.ok((await readEvents(other, A)).every(({ data }) => data === "theirs"));
});

Deno.test("append() to quiet channels does not wait for contended ones", async () => {
  await using store = await openEmbedded();
  const other = await store.isolate();
  let contended = true;
  const kv = failingKv(store.kv, () => undefined, async (commit) => {
    if (contended && touches(commit, "a")) await other.append([draft("a", "theirs")]);
  });
  const log = await store.isolate({ kv, random: () => 0.5 });
  await log.append([draft("b", "1")]);
  const [, , mine] = [
    log.append([draft("b", "2")]), // its commit is under way while the others are gathered
    log.append([draft("a", "1")]).then(() => "stored"),
    log.append([draft("b", "3")]).then(() => "stored"),
  ];
  assert.equal(await mine, "stored");
  contended = false;
  await log.close();
  assert.deepEqual(sequencesOf(await readEvents(other, testChannelKey("b"))), [1, 2, 3]);
  assert.equal((await readEvents(other, A)).at(-1)?.data, "1");
});

Deno.test("read() never returns a head beyond the events that it has read", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  await log.append([draft("a", "1")]);
  const { epoch } = (await log.head(A)) ?? assert.fail();
  // This reader lists the events before an append, and gets the head after it.
  const kv = overridingKv(store.kv, {
    get: async (key: Deno.KvKey) => {
      await log.append([draft("a", "2")]);
      return await store.kv.get(key);
    },
  });
  const reader = await store.isolate({ kv });
  for (let sequence = 1; sequence < 6; sequence++) {
    const { runs, head } = await reader.read(A, { epoch, sequence }, 100);
    const last = runs.at(-1)?.last ?? sequence;
    assert.ok((head?.last ?? 0) <= last, `read to ${last}, head ${head?.last}`);
  }
});

Deno.test("channels() lists the channels around one whose head cannot be read", async () => {
  await using store = await openDamaged();
  const log = await store.isolate();
  for (const channel of ["a", "b", "c", "d"]) await log.append([draft(channel, "1")]);
  await store.damage(keys.head(testChannelKey("b")));
  const list = async (after: string, limit: number) =>
    (await log.channels(DEFAULT_TENANT, after, limit)).map(({ channel }) => channel);
  assert.deepEqual(await list("", 100), ["a", "c", "d"]);
  assert.deepEqual(await list("a", 1), ["c"]);
});

Deno.test("read() loads only the large events that it returns", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate();
  await log.append(upTo(30).map(() => draft("a", new Uint8Array(100_000))));
  let chunks = 0;
  const kv = overridingKv(store.kv, {
    getMany: (keys: readonly Deno.KvKey[]) => {
      chunks += keys.filter(([kind]) => kind === "chunk").length;
      return store.kv.getMany(keys);
    },
  });
  const reader = await store.isolate({ kv });
  const { runs } = await reader.read(A, ORIGIN, 1);
  assert.equal(runs[0]?.events.length, 1);
  assert.equal(chunks, 2);
});

Deno.test("close() resolves while the store does not answer", async () => {
  await using store = await openEmbedded();
  const gate = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<void>();
  const fail = () => {
    failed.resolve();
    return "away";
  };
  const log = await store.isolate({ kv: failingKv(store.kv, fail, gate.promise) });
  const append = log.append([draft("a", "1")]);
  const outcome = assert.rejects(append, problem("commit_unknown"));
  await log.close();
  await outcome;
  // The late answer must not start a timer: the sanitizer would find it.
  gate.resolve();
  await failed.promise;
});

Deno.test("close() waits for reads under way", async () => {
  await using store = await openEmbedded();
  const gate = Promise.withResolvers<Deno.KvEntryMaybe<unknown>>();
  const log = await store.isolate({ kv: overridingKv(store.kv, { get: () => gate.promise }) });
  const order: string[] = [];
  const read = log.head(A).then(() => order.push("read"));
  const closed = log.close().then(() => order.push("closed"));
  await new Promise((resolve) => setTimeout(resolve)); // a turn, in which an early close() would resolve
  gate.resolve({ key: ["a"], value: null, versionstamp: null });
  await Promise.all([read, closed]);
  assert.deepEqual(order, ["read", "closed"]);
});

/** Returns the last parts of the keys under `prefix`. */
async function rows({ kv }: LogStore, prefix: string): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for await (const { key } of kv.list({ prefix: [prefix] })) found.push(key.at(-1));
  return found;
}

function isOfEvents({ set }: CommitKeys): boolean {
  return set.some(([kind]) => kind === "log");
}

function touches({ set }: CommitKeys, channel: string): boolean {
  return set.some((key) => key[2] === channel);
}
