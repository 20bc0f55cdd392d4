import assert from "node:assert/strict";
import { startRestoredEpochs } from "../../../lib/log/restored_epochs.ts";
import { ORIGIN, type Position } from "../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import {
  dataOf,
  itemsOf,
  problem,
  readEvents,
  readRuns,
  sequencesOf,
} from "../../support/log_reading.ts";
import { openEmbedded } from "../../support/log_stores.ts";

const A = testChannelKey("a");
const GONE = testChannelKey("gone");
const NOW = Date.UTC(2026, 0, 1);
const COUNT = 12;
const LARGE = "x".repeat(100_000);

const options = { now: NOW, onProgress() {}, onUnreadable() {} };

function dataAt(sequence: number): string {
  return sequence === 5 ? JSON.stringify(LARGE) : `${sequence}`;
}

Deno.test("a restored channel has its events, and its cursors continue or get a gap", async () => {
  await using store = await openEmbedded();
  const now = () => NOW;
  const before = await store.isolate({ now });
  for (let i = 1; i <= COUNT; i++) {
    await before.append([draft("a", dataAt(i), i % 3 === 0 ? { id: `id-${i}` } : {})]);
  }
  await before.configure(A, { events: COUNT - 2 });
  await before.retain();
  await before.append([draft("gone", "0")]);
  await before.delete(GONE);
  const epoch = (await before.head(A))?.epoch ?? ORIGIN.epoch;
  const goneEnd = (await before.bounds(GONE)).end;

  const progress: number[] = [];
  await startRestoredEpochs(store.kv, { ...options, onProgress: (count) => progress.push(count) });

  const log = await store.isolate({ now });
  const head = await log.head(A);
  assert.notEqual(head?.epoch, epoch);
  assert.deepEqual([head?.first, head?.last], [3, COUNT]);
  assert.deepEqual(progress, [COUNT - 2]);
  const kept = await readEvents(log, A);
  assert.deepEqual(dataOf(kept), Array.from({ length: COUNT - 2 }, (_, i) => dataAt(i + 3)));

  // A cursor from before the backup continues, and what is appended continues the sequences.
  const [first] = await log.append([draft("a", `"new"`)]);
  assert.equal(first?.offset, `${head?.epoch}_${String(COUNT + 1).padStart(16, "0")}`);
  for (let sequence = 2; sequence <= COUNT; sequence++) {
    const [gap, ...events] = await itemsAfter({ epoch, sequence });
    assert.ok(gap !== undefined && "gap" in gap);
    assert.equal(`${gap.gap.reason} ${gap.gap.lost}`, "restored 0");
    assert.deepEqual(
      events.map((item) => "event" in item ? item.event.sequence : undefined),
      Array.from({ length: COUNT + 1 - sequence }, (_, i) => sequence + 1 + i),
    );
  }
  // A cursor from after the backup does not take the new event for the one that it had.
  const [recreated, ...all] = await itemsAfter({ epoch, sequence: COUNT + 1 });
  assert.ok(recreated !== undefined && "gap" in recreated);
  assert.equal(recreated.gap.reason, "recreated");
  assert.equal(all.length, COUNT - 1);

  // Repeats are still recognized.
  const [repeat] = await log.append([draft("a", "6", { id: "id-6" })]);
  assert.equal(repeat?.duplicate, true);
  assert.equal(repeat.offset, `${head?.epoch}_${String(6).padStart(16, "0")}`);
  await assert.rejects(
    log.append([draft("a", "7", { id: "id-6" })]),
    problem("idempotency_conflict", 0),
  );

  // The epoch that was reserved for the deleted channel may have been used since the backup.
  await log.append([draft("gone", "1")]);
  assert.notEqual((await log.head(GONE))?.epoch, goneEnd.epoch);

  async function itemsAfter(position: Position) {
    return itemsOf(await readRuns(log, A, position));
  }
});

Deno.test("retention leaves no row of a restored channel", async () => {
  await using store = await openEmbedded();
  const now = () => NOW;
  const before = await store.isolate({ now });
  for (let i = 1; i <= COUNT; i++) await before.append([draft("a", dataAt(i), { id: `${i}` })]);
  await startRestoredEpochs(store.kv, options);
  await startRestoredEpochs(store.kv, options);
  const log = await store.isolate({ now });
  assert.deepEqual(sequencesOf(await readEvents(log, A)).length, COUNT);
  await log.delete(A);
  await log.retain();
  const left: Deno.KvKey[] = [];
  for (const prefix of ["log", "seen", "chunk", "sweep", "head"]) {
    for await (const { key } of store.kv.list({ prefix: [prefix] })) left.push(key);
  }
  assert.deepEqual(left, []);
});

Deno.test("a head names only the epochs of the last four restores", async () => {
  await using store = await openEmbedded();
  const log = await store.isolate({ now: () => NOW });
  const epochs: string[] = [];
  for (let i = 0; i < 6; i++) {
    const [event] = await log.append([draft("a", "1")]);
    epochs.push(event?.offset.slice(0, 9) ?? "");
    await startRestoredEpochs(store.kv, options);
  }
  assert.equal(new Set(epochs).size, 6);
  const reasons = await Promise.all(epochs.map(async (epoch) => {
    const { runs } = await log.read(A, { epoch, sequence: 1 } as Position, 10);
    return runs[0]?.gap?.reason;
  }));
  assert.deepEqual(reasons, ["recreated", "recreated", ...Array(4).fill("restored")]);
});
