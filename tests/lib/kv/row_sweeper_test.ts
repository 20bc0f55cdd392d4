import assert from "node:assert/strict";
import { RowSweeper } from "../../../lib/kv/row_sweeper.ts";
import { FakeClock } from "../../support/clock.ts";

/** Records the deleted keys. Commits fail while `isAway`. */
class FakeStore {
  readonly deleted: string[] = [];
  isAway = false;
  readonly kv = {
    atomic: () => {
      const keys: string[] = [];
      const atomic = {
        delete: (key: Deno.KvKey) => {
          keys.push(String(key[0]));
          return atomic;
        },
        commit: () => {
          if (this.isAway) return Promise.reject(new Error("connection refused"));
          this.deleted.push(...keys);
          return Promise.resolve({ ok: true });
        },
      };
      return atomic;
    },
  } as unknown as Deno.Kv;
}

Deno.test("rows are deleted when their lifetime is over, and not before", async () => {
  const store = new FakeStore();
  using clock = new FakeClock({ replaces: ["timeouts", "performance"] });
  const sweeper = new RowSweeper(store.kv, 10_000);
  sweeper.add([["a"], ["b"]]);
  clock.advance(5_000);
  sweeper.add([["c"]]);
  clock.advance(4_999);
  assert.deepEqual(store.deleted, []);
  clock.advance(1);
  await settled();
  assert.deepEqual(store.deleted, ["a", "b"]);
  clock.advance(5_000);
  await settled();
  assert.deepEqual(store.deleted, ["a", "b", "c"]);
  assert.equal(clock.timers, 0);
  await sweeper.close();
});

Deno.test("more rows than one commit can delete are deleted in several", async () => {
  const store = new FakeStore();
  using clock = new FakeClock({ replaces: ["timeouts", "performance"] });
  const sweeper = new RowSweeper(store.kv, 10_000);
  sweeper.add(Array.from({ length: 1_201 }, (_, i) => [`${i}`]));
  clock.advance(10_000);
  await settled();
  assert.equal(store.deleted.length, 1_201);
  await sweeper.close();
});

Deno.test("rows that could not be deleted are left to expire", async () => {
  const store = new FakeStore();
  using clock = new FakeClock({ replaces: ["timeouts", "performance"] });
  const sweeper = new RowSweeper(store.kv, 10_000);
  sweeper.add([["a"]]);
  store.isAway = true;
  clock.advance(10_000);
  await settled();
  store.isAway = false;
  sweeper.add([["b"]]);
  clock.advance(10_000);
  await settled();
  assert.deepEqual(store.deleted, ["b"]);
  await sweeper.close();
});

Deno.test("a closed sweeper deletes nothing and leaves no timer", async () => {
  const store = new FakeStore();
  using clock = new FakeClock({ replaces: ["timeouts", "performance"] });
  const sweeper = new RowSweeper(store.kv, 10_000);
  sweeper.add([["a"]]);
  await sweeper.close();
  sweeper.add([["b"]]);
  assert.equal(clock.timers, 0);
  assert.deepEqual(store.deleted, []);
});

/** Lets promises settle. No timer is needed for that. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await undefined;
}
