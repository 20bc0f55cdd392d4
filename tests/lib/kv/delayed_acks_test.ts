import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { avoidDelayedAcks } from "../../../lib/kv/delayed_acks.ts";
import { FakeClock } from "../../support/clock.ts";

describe("avoidDelayedAcks()", () => {
  it("sends a small commit and a read without filler reads while they are alone", async () => {
    using world = new World(1);
    const [server] = world.servers as [FakeServer];
    const read = world.kv.get(["a"]);
    await world.clock.advanceAsync(3);
    server.answer();
    await read;
    const commit = world.kv.atomic().set(["a"], "x".repeat(900)).commit();
    await world.clock.advanceAsync(3);
    server.answer();
    await commit;
    await world.clock.advanceAsync(10);
    assert.deepEqual(server.sent, ["get a", "commit"]);
  });

  it("sends a commit of more than 1,000 bytes behind a filler read", async () => {
    using world = new World(1);
    const [server] = world.servers as [FakeServer];
    const commit = world.kv.atomic().set(["a"], 1).set(["b"], "x".repeat(1_000)).commit();
    await nextTurn();
    assert.deepEqual(server.sent, ["get -", "commit"]);
    server.answer();
    server.answer();
    await commit;
  });

  it("counts all parts of a commit, and characters that take several bytes", async () => {
    using world = new World(1);
    const [server] = world.servers as [FakeServer];
    const atomic = world.kv.atomic();
    for (let i = 0; i < 20; i++) atomic.delete(["a row with a long key", "x".repeat(30), i]);
    const wide = world.kv.atomic().check({ key: ["a"], versionstamp: null }).set(
      ["b"],
      "é€".repeat(170),
    );
    for (const commit of [atomic, wide]) {
      const committed = commit.commit();
      await nextTurn();
      assert.deepEqual(server.sent.splice(0), ["get -", "commit"]);
      server.answer();
      server.answer();
      await committed;
    }
  });

  it("gives each request a connection without others, and takes the first that is free", async () => {
    using world = new World(3);
    const [a, b, c] = world.servers as [FakeServer, FakeServer, FakeServer];
    const reads = [world.kv.get(["1"]), world.kv.getMany([["2"]]), world.kv.get(["3"])];
    assert.deepEqual([a.sent, b.sent, c.sent], [["get 1"], ["getMany"], ["get 3"]]);
    b.answer();
    await reads[1];
    reads.push(world.kv.atomic().set(["4"], 4).commit() as Promise<never>);
    assert.deepEqual(b.sent, ["getMany", "commit"]);
    for (const server of world.servers) server.answer();
    await Promise.all(reads);
    await world.clock.advanceAsync(10);
    assert.deepEqual([a.sent, b.sent, c.sent], [["get 1"], ["getMany", "commit"], ["get 3"]]);
  });

  it("follows an answer with a filler read while others on the connection are under way", async () => {
    using world = new World(1);
    const [server] = world.servers as [FakeServer];
    const reads = [world.kv.get(["1"]), world.kv.get(["2"])];
    await world.clock.advanceAsync(2);
    assert.deepEqual(server.sent, ["get 1", "get 2"]);
    server.answer();
    await world.clock.advanceAsync(1);
    assert.deepEqual(server.sent, ["get 1", "get 2", "get -"]);
    await world.clock.advanceAsync(2);
    assert.equal(server.sent.length, 3);
    server.answer();
    await Promise.all(reads);
    server.answer();
    await world.clock.advanceAsync(10);
    assert.equal(server.sent.length, 3);
  });

  it("sends filler reads on a quiet connection, but only few while the store does not answer", async () => {
    using world = new World(1);
    const [server] = world.servers as [FakeServer];
    const read = world.kv.get(["a"]);
    await world.clock.advanceAsync(4);
    assert.deepEqual(server.sent, ["get a", "get -"]);
    await world.clock.advanceAsync(1_000);
    assert.equal(server.sent.length, 5);
    while (server.open > 0) server.answer();
    await read;
    await world.clock.advanceAsync(1_000);
    assert.equal(server.sent.length, 5);
  });

  it("keeps what the store does", async () => {
    const store = await Deno.openKv(":memory:");
    const { kv, drain } = avoidDelayedAcks([store]);
    await kv.set(["a", 1], "one");
    const { versionstamp } = await kv.get(["a", 1]);
    const change = kv.atomic().check({ key: ["a", 1], versionstamp }).sum(["n"], 2n).max(["m"], 3n);
    assert.ok((await change.set(["a", 2], "x".repeat(2_000)).delete(["a", 1]).commit()).ok);
    assert.equal((await kv.atomic().check({ key: ["a", 1], versionstamp }).commit()).ok, false);
    const rows = await Array.fromAsync(kv.list({ prefix: [] }));
    assert.deepEqual(rows.map(({ key }) => key), [["a", 2], ["m"], ["n"]]);
    await kv.delete(["m"]);
    assert.equal((await kv.get(["m"])).value, null);
    assert.ok(await drain());
    store.close();
  });
});

Deno.test("after drain() there are no filler reads", async () => {
  using world = new World(2);
  const [server] = world.servers as [FakeServer];
  assert.ok(await world.drain());
  // Like a commit whose answer came after its log had closed. The test's sanitizer would report a
  // timer.
  const commit = world.kv.atomic().set(["a"], "x".repeat(2_000)).commit();
  await nextTurn();
  assert.deepEqual(server.sent, ["commit"]);
  server.answer();
  await commit;
  assert.equal(world.clock.timers, 0);
});

Deno.test("drain() returns true once all requests have answers, or false after its timeout", async () => {
  const stores = [await Deno.openKv(":memory:"), await Deno.openKv(":memory:")];
  const answer = Promise.withResolvers<void>();
  for (const store of stores) store.delete = () => answer.promise;
  const { kv, drain } = avoidDelayedAcks(stores);
  const deleted = [kv.delete(["a"]), kv.delete(["b"])];
  assert.equal(await drain(10), false);
  const isIdle = drain(60_000);
  answer.resolve();
  assert.equal(await isIdle, true);
  await Promise.all(deleted);
  for (const store of stores) store.close();
});

/** A handle whose requests are answered in order, when a test says so. */
class FakeServer {
  /** The requests so far. */
  readonly sent: string[] = [];
  readonly #answers: (() => void)[] = [];

  get open(): number {
    return this.#answers.length;
  }

  answer(): void {
    (this.#answers.shift() ?? assert.fail("no request is under way"))();
  }

  readonly kv = {
    get: ([key]: Deno.KvKey) => this.#send(`get ${String(key)}`),
    getMany: () => this.#send("getMany"),
    atomic: () => {
      const atomic = { commit: () => this.#send("commit") } as Record<string, unknown>;
      for (const name of ["check", "set", "delete", "sum", "min", "max", "mutate"]) {
        atomic[name] = () => atomic;
      }
      return atomic;
    },
  } as unknown as Deno.Kv;

  #send(request: string): Promise<unknown> {
    this.sent.push(request);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#answers.push(() => resolve({ ok: true }));
    return promise;
  }
}

class World implements Disposable {
  readonly clock = new FakeClock({ replaces: ["performance", "timeouts"] });
  readonly servers: readonly FakeServer[];
  readonly kv: Deno.Kv;
  readonly drain: (timeoutMs?: number) => Promise<boolean>;

  constructor(connections: number) {
    this.servers = Array.from({ length: connections }, () => new FakeServer());
    ({ kv: this.kv, drain: this.drain } = avoidDelayedAcks(this.servers.map(({ kv }) => kv)));
  }

  [Symbol.dispose](): void {
    this.clock[Symbol.dispose]();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
