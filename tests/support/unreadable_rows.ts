import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openEmbedded } from "./log_stores.ts";
import type { LogStore } from "./log_stores.ts";

/** A store in a SQLite file whose rows a test can make unreadable. */
export interface DamagedStore extends LogStore {
  /** Replaces the value of a row with bytes that cannot be decoded. */
  damage(key: Deno.KvKey): Promise<void>;
}

export async function openDamaged(): Promise<DamagedStore> {
  const directory = await Deno.makeTempDir({ prefix: "weir_damaged_" });
  const path = `${directory}/kv.sqlite`;
  const store = await openEmbedded(path);
  return {
    ...store,
    damage: async (key) => {
      const { versionstamp, value } = await store.kv.get(key);
      assert.ok(versionstamp !== null && value !== undefined, `no row ${key.join("/")}`);
      // The store has no other way to tell the bytes of a key.
      const mark = new TextEncoder().encode(crypto.randomUUID());
      await store.kv.set(key, mark);
      using database = new DatabaseSync(path);
      const damaged = database.prepare(
        "update kv set v = x'ff0f6f01', v_encoding = 1 where instr(v, ?) > 0",
      )
        .run(mark);
      assert.equal(Number(damaged.changes), 1);
      await assert.rejects(store.kv.get(key), RangeError);
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
    },
  };
}
