import assert from "node:assert/strict";
import type { ChannelChange, CommitNews } from "../../../lib/kv/doorbell.ts";
import { shardOf } from "../../../lib/kv/journal_row.ts";
import { keys } from "../../../lib/kv/keys.ts";
import { WatchDoorbell } from "../../../lib/kv/watch_doorbell.ts";
import type { ChannelKey } from "../../../lib/shared/channel.ts";
import { Denokv, DENOKV_MISSING } from "../../support/denokv.ts";
import { testChannelKey } from "../../support/drafts.ts";
import { overridingKv } from "../../support/failing_kv.ts";
import { FakeClock } from "../../support/clock.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");

for (const kind of ["memory", "denokv"] as const) {
  const test = (behaviour: string, body: (isolates: Isolates) => Promise<void>) =>
    Deno.test(`${behaviour} (${kind})`, {
      ignore: kind === "denokv" && DENOKV_MISSING,
    }, async () => {
      await using isolates = await Isolates.open(kind);
      await body(isolates);
    });

  test("a commit rings the listeners of other isolates only", async (isolates) => {
    const [here, there] = [await isolates.add(), await isolates.add()];
    const own = new Bell();
    using _own = here.doorbell.listen(A, own.ring);
    const bell = new Bell();
    using _listening = there.doorbell.listen(A, bell.ring);
    await here.commit(A);
    await bell.rings(1);
    for (let i = 2; i < 12; i++) {
      const { count } = bell;
      await here.commit(A);
      await bell.rings(count + 1);
    }
    const { count } = own;
    // A ring of its own commits would come before the ring of this one.
    await there.commit(A);
    await own.rings(count + 1);
    assert.ok(own.count <= 2, "once for what may have been before, once for the other's commit");
  });

  test("a commit with channels of all shards rings each channel", async (isolates) => {
    const [here, there] = [await isolates.add(), await isolates.add()];
    const channelKeys = Array.from({ length: 40 }, (_, i) => testChannelKey(`c${i}`));
    const bells = channelKeys.map(() => new Bell());
    using stack = new DisposableStack();
    channelKeys.forEach((a, i) =>
      stack.use(there.doorbell.listen(a, bells[i]?.ring ?? assert.fail()))
    );
    await here.commit(...channelKeys.slice(0, 10));
    await Promise.all(bells.slice(0, 10).map((bell) => bell.rings(1)));
    const before = bells.map(({ count }) => count);
    await here.commit(...channelKeys.slice(5, 40));
    await Promise.all(bells.slice(5).map((bell, i) => bell.rings((before[i + 5] ?? 0) + 1)));
  });

  test("listeners get the news of each commit once", async (isolates) => {
    const [here, there] = [await isolates.add(), await isolates.add()];
    using listening = await hear(here, there);
    const { heard } = listening;
    const B = testChannelKey("b");
    const versionstamps = [
      await here.change([{ channelKey: A, head: { last: 1 } }, { channelKey: B }]),
      await here.commit(A),
      await here.change([{ channelKey: B, head: { last: 7 } }, { channelKey: A, head: 3 }]),
    ];
    await until("three commits are heard", () => heard.length === 3);
    heard.sort((a, b) => a.versionstamp < b.versionstamp ? -1 : 1); // later ones may come first
    assert.deepEqual(heard.map(({ versionstamp }) => versionstamp), versionstamps);
    assert.deepEqual(heard.map(({ head }) => head), [{ last: 1 }, undefined, 3]);
    assert.equal(new Set(heard.map(({ by }) => by)).size, 1);
  });

  test("the wake of a small commit brings its news, without a read of the journal", async (isolates) => {
    const [here, there] = [await isolates.add(), await isolates.add({ readsJournal: false })];
    using listening = await hear(here, there);
    const { heard } = listening;
    for (let i = 1; i <= 3; i++) {
      const carried = ["000000001", i, 0, ["x"]];
      const versionstamp = await here.change([{ channelKey: A, head: { last: i }, carried }]);
      await until("the news have come", () => heard.at(-1)?.versionstamp === versionstamp);
      assert.deepEqual(heard.at(-1)?.carried, carried);
      assert.deepEqual(heard.at(-1)?.head, { last: i });
    }
    assert.equal(heard.length, 3);
  });

  test("what a wake has no room for comes with the journal", async (isolates) => {
    const [here, there] = [await isolates.add(), await isolates.add()];
    using listening = await hear(here, there);
    const { heard } = listening;
    const wake = keys.wake(shardOf(A));
    await here.change([{ channelKey: A, head: 1, carried: ["x".repeat(5_000)] }]);
    await until("one commit is heard", () => heard.length === 1);
    assert.equal((await isolates.kv.get(wake)).value, 0);
    await here.change([{ channelKey: A, head: "x".repeat(5_000), carried: [1] }]);
    await until("two commits are heard", () => heard.length === 2);
    assert.equal((await isolates.kv.get(wake)).value, 0);
    assert.deepEqual(heard.map(({ carried }) => carried), [undefined, undefined]);
    assert.deepEqual(heard.map(({ head }) => head), [1, "x".repeat(5_000)]);
  });

  test("a row of a version that passes no heads on rings", async (isolates) => {
    const there = await isolates.add();
    const heard: (CommitNews | undefined)[] = [];
    using _listening = there.doorbell.listen(A, (news) => void heard.push(news));
    const shard = shardOf(A);
    const commit = () =>
      isolates.kv.atomic().set(keys.wake(shard), 0)
        .set([...keys.changes(shard), isolates.kv.commitVersionstamp()], {
          by: "other",
          addresses: [A],
        }).commit();
    await commit();
    await until("the listener is rung", () => heard.length > 0);
    heard.length = 0;
    const result = await commit();
    assert.ok(result.ok);
    await until("the listener is rung again", () => heard.length > 0);
    const { versionstamp } = result;
    assert.deepEqual(heard, [{ by: "other", versionstamp, head: undefined }]);
  });

  test("a disposed listener is not rung, but others of its channel are", async (isolates) => {
    const [here, there] = [await isolates.add(), await isolates.add()];
    const [gone, stays] = [new Bell(), new Bell()];
    const listening = there.doorbell.listen(A, gone.ring);
    using _other = there.doorbell.listen(A, stays.ring);
    await here.commit(A);
    await Promise.all([gone.rings(1), stays.rings(1)]);
    listening[Symbol.dispose]();
    const { count } = gone;
    const { count: before } = stays;
    await here.commit(A);
    await stays.rings(before + 1);
    assert.equal(gone.count, count);
  });
}

Deno.test("only one watch is open at a time, however many listeners come", async () => {
  const kv = await Deno.openKv(":memory:");
  const open = new Set<number>();
  let watches = 0;
  let most = 0;
  const watchKv = {
    watch: () => {
      const id = watches++;
      open.add(id);
      most = Math.max(most, open.size);
      return new ReadableStream({
        cancel: async () => {
          await nextMacrotask();
          open.delete(id);
        },
      });
    },
  } as unknown as Deno.Kv;
  const doorbell = new WatchDoorbell(kv, watchKv);
  for (let i = 0; i < 40; i++) {
    doorbell.listen(testChannelKey(`c${i}`), () => {});
    await nextMacrotask();
  }
  await doorbell.close();
  assert.ok(watches > 1);
  assert.equal(most, 1);
  assert.equal(open.size, 0);
  kv.close();
});

Deno.test("later commits delete the rows of the journal", async () => {
  await using isolates = await Isolates.open("memory");
  const { doorbell, commit } = await isolates.add();
  using clock = new FakeClock({ start: Date.now(), replaces: ["Date"] });
  for (let i = 0; i < 50; i++) await commit(A);
  assert.equal(await isolates.countOf("changed"), 50);
  clock.advance(60_001);
  for (let i = 0; i < 3; i++) await commit(A);
  assert.equal(await isolates.countOf("changed"), 3);
  await doorbell.close();
});

type Isolate = Awaited<ReturnType<Isolates["add"]>>;

/** Collects the news of A in `there`, from when `there` follows the commits of `here`. */
async function hear(
  here: Isolate,
  there: Isolate,
): Promise<Disposable & { readonly heard: CommitNews[] }> {
  const bell = new Bell();
  const heard: CommitNews[] = [];
  const listening = there.doorbell.listen(A, (news) => {
    if (news !== undefined) heard.push(news);
    bell.ring();
  });
  // If the watch has begun before this commit, only a wake with news rings without the journal.
  await here.change([{ channelKey: A, carried: ["first"] }]);
  await bell.rings(1); // from now on the journal is read
  heard.length = 0;
  return { heard, [Symbol.dispose]: () => listening[Symbol.dispose]() };
}

/** Counts rings, and waits for a number of them. */
class Bell {
  count = 0;

  readonly ring = () => void this.count++;

  rings(count: number): Promise<void> {
    return until(`it has rung ${count} times`, () => this.count >= count);
  }
}

/** Doorbells of several isolates on one store. */
class Isolates implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack();

  private constructor(readonly kv: Deno.Kv, readonly openHandle: () => Promise<Deno.Kv>) {}

  static async open(kind: "memory" | "denokv"): Promise<Isolates> {
    if (kind === "memory") {
      const kv = await Deno.openKv(":memory:");
      const isolates = new Isolates(kv, () => Promise.resolve(kv));
      isolates.#resources.adopt(kv, (kv) => kv.close());
      return isolates;
    }
    const server = await Denokv.start();
    const kv = await server.openKv();
    const isolates: Isolates = new Isolates(kv, async () => {
      return isolates.#resources.adopt(await server.openKv(), (kv) => kv.close());
    });
    isolates.#resources.use(server);
    isolates.#resources.adopt(kv, (kv) => kv.close());
    return isolates;
  }

  async add({ readsJournal = true } = {}) {
    const handle = await this.openHandle();
    const kv = readsJournal ? handle : overridingKv(handle, { list: () => NO_ROWS });
    const doorbell = new WatchDoorbell(kv, await this.openHandle());
    this.#resources.adopt(doorbell, (doorbell) => doorbell.close());
    const change = async (changes: readonly ChannelChange[]) => {
      const atomic = kv.atomic();
      doorbell.prepare(atomic, changes);
      const result = await atomic.commit();
      assert.ok(result.ok);
      doorbell.committed(changes, result.versionstamp);
      return result.versionstamp;
    };
    const commit = (...channelKeys: ChannelKey[]) =>
      change(channelKeys.map((channelKey) => ({ channelKey })));
    return { doorbell, change, commit };
  }

  async countOf(prefix: string): Promise<number> {
    return (await Array.fromAsync(this.kv.list({ prefix: [prefix] }))).length;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

function nextMacrotask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** A list that never answers. */
const NO_ROWS = {
  [Symbol.asyncIterator]: () => NO_ROWS,
  next: () => new Promise(() => {}),
};
