import assert from "node:assert/strict";
import { readableRows } from "../../../lib/kv/readable_rows.ts";
import { overridingKv } from "../../support/failing_kv.ts";
import { upTo } from "../../support/log_reading.ts";
import { openDamaged } from "../../support/unreadable_rows.ts";

type Options = Parameters<typeof readableRows>[1];

/** Lists rows; returns the keys of those that can be read, and of those that cannot. */
async function list(
  kv: Deno.Kv,
  options: Omit<Options, "onUnreadable">,
): Promise<{ readonly read: Deno.KvKey[]; readonly unreadable: Deno.KvKey[] }> {
  const read: Deno.KvKey[] = [];
  const unreadable: Deno.KvKey[] = [];
  const onUnreadable = (key: Deno.KvKey) => void unreadable.push(key);
  for await (const { key } of readableRows(kv, { ...options, onUnreadable })) read.push(key);
  return { read, unreadable };
}

Deno.test("readableRows() skips unreadable rows anywhere, and tells their keys", async () => {
  await using store = await openDamaged();
  const names = ["", "a", "aa", "b", "b.c", "café", "z", "ﬀ", "🎉", "🎉🎉"];
  const all = ["t", "tenant"].flatMap((tenant) => names.map((name) => ["head", tenant, name]));
  for (const key of [...all, ["hea", "x"], ["heads", "x"]]) await store.kv.set(key, 1);
  const damaged = all.filter((_, i) => i === 0 || i % 3 === 1 || i === 8 || i === all.length - 1);
  for (const key of damaged) await store.damage(key);
  for (const batchSize of [1, 4, 100]) {
    const { read, unreadable } = await list(store.kv, {
      prefix: ["head"],
      parts: ["string", "string"],
      batchSize,
    });
    assert.deepEqual(unreadable, damaged);
    assert.deepEqual(read, all.filter((key) => !damaged.includes(key)));
  }
});

Deno.test("readableRows() lists a range of integers without the unreadable ones", async () => {
  await using store = await openDamaged();
  const all = upTo(20).map((n) => ["log", "e", n * 1_000]);
  for (const key of all) await store.kv.set(key, 1);
  const damaged = [all[4], all[5], all[11], all[18]].map((key) => key ?? assert.fail());
  for (const key of damaged) await store.damage(key);
  const { read, unreadable } = await list(store.kv, {
    prefix: ["log", "e"],
    parts: ["integer"],
    start: ["log", "e", 5_000],
    end: ["log", "e", 15_000],
    batchSize: 8,
  });
  assert.deepEqual(unreadable, damaged.slice(0, 3));
  assert.deepEqual(read.map((key) => key[2]), [
    7_000,
    8_000,
    9_000,
    10_000,
    11_000,
    13_000,
    14_000,
  ]);
});

Deno.test("readableRows() gives up on a store of which nothing can be read", async () => {
  await using store = await openDamaged();
  const all = upTo(102).map((n) => ["log", n]);
  for (const key of all) await store.kv.set(key, 1);
  for (const key of all) await store.damage(key);
  await assert.rejects(
    list(store.kv, { prefix: ["log"], parts: ["integer"], batchSize: 500 }),
    RangeError,
  );
});

Deno.test("readableRows() throws other errors of the store", async () => {
  const kv = overridingKv({} as Deno.Kv, {
    list: () => {
      throw new Error("disk I/O error");
    },
  });
  await assert.rejects(
    list(kv, { prefix: ["log"], parts: ["integer"], batchSize: 1 }),
    /disk I\/O error/,
  );
});
