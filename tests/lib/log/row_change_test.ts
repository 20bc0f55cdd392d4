import assert from "node:assert/strict";
import { type Draft, type RowChange, StaleRowsError } from "../../../lib/log/log.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { dataOf, readEvents } from "../../support/log_reading.ts";
import { STORES } from "../../support/log_stores.ts";

/** Returns the key of the row `name`. */
function rowKey(name: string): Deno.KvKey {
  return ["row", name];
}

/** Sets the row to the event's offset, if it has this versionstamp or, for null, does not exist. */
function change(name: string, versionstamp: string | null): RowChange {
  const key = rowKey(name);
  return {
    checks: versionstamp === null ? [] : [{ key, versionstamp }],
    absent: versionstamp === null ? [key] : [],
    keyBytes: 64,
    valueBytes: 64,
    write: (atomic, offset) => void atomic.set(key, offset),
  };
}

function draftWith(channel: string, data: string, rows: RowChange): Draft {
  return { ...draft(channel, data), rows };
}

for (const { name, ignore, open } of STORES) {
  Deno.test(`an event and its rows are written together (${name})`, { ignore }, async () => {
    await using store = await open();
    const log = await store.isolate();
    const [appended] = await log.append([draftWith("a", "1", change("x", null))]);
    const row = await store.kv.get(rowKey("x"));
    assert.equal(row.value, appended?.offset);
    await log.append([draftWith("a", "2", change("x", row.versionstamp))]);
    assert.notEqual((await store.kv.get(rowKey("x"))).value, appended?.offset);
    assert.deepEqual(dataOf(await readEvents(log, testChannelKey("a"))), ["1", "2"]);
  });

  Deno.test(`only the append whose rows have changed fails (${name})`, {
    ignore,
  }, async () => {
    await using store = await open();
    const log = await store.isolate();
    await store.kv.set(rowKey("taken"), 0);
    const count = 60;
    const isStale = (i: number) => i % 7 === 3;
    const answers = await Promise.allSettled(Array.from({ length: count }, (_, i) => {
      if (i % 5 === 0) return log.append([draft("a", `${i}`)]);
      const rows = isStale(i) ? change("taken", null) : change(`row ${i}`, null);
      // All in one channel, and some also in another: groups are split by channels.
      return log.append([draftWith(i % 3 === 0 ? "b" : "a", `${i}`, rows)]);
    }));
    const stale = answers.flatMap((answer, i) => answer.status === "rejected" ? [i] : []);
    const expected = answers.flatMap((_, i) => isStale(i) && i % 5 !== 0 ? [i] : []);
    assert.deepEqual(stale, expected);
    for (const i of stale) {
      const answer = answers[i];
      assert.ok(answer?.status === "rejected" && answer.reason instanceof StaleRowsError);
    }
    assert.equal((await store.kv.get(rowKey("taken"))).value, 0);
    const stored = [
      ...dataOf(await readEvents(log, testChannelKey("a"))),
      ...dataOf(await readEvents(log, testChannelKey("b"))),
    ].map(Number);
    const others = answers.flatMap((_, i) => expected.includes(i) ? [] : [i]);
    assert.deepEqual(stored.toSorted((a, b) => a - b), others);
    for (const i of others.filter((i) => i % 5 !== 0)) {
      assert.notEqual((await store.kv.get(rowKey(`row ${i}`))).value, null);
    }
  });

  Deno.test(
    `each change of a row that two isolates write is made by one of them (${name})`,
    {
      ignore,
    },
    async () => {
      await using store = await open();
      const logs = [await store.isolate(), await store.isolate()];
      const rounds = 15;
      const offsets: string[] = [];
      await Promise.all(logs.map(async (log, i) => {
        for (let done = 0; done < rounds;) {
          const { versionstamp } = await store.kv.get(rowKey("shared"));
          try {
            const rows = change("shared", versionstamp);
            const [appended] = await log.append([draftWith("a", `"${i} ${done}"`, rows)]);
            offsets.push(appended?.offset ?? "");
            done++;
          } catch (cause) {
            if (!(cause instanceof StaleRowsError)) throw cause;
          }
        }
      }));
      const [log] = logs;
      assert.ok(log);
      const events = await readEvents(log, testChannelKey("a"));
      assert.equal(events.length, 2 * rounds);
      assert.equal((await store.kv.get(rowKey("shared"))).value, offsets.toSorted().at(-1));
    },
  );
}
