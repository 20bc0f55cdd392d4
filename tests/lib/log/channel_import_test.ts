import assert from "node:assert/strict";
import { BroadcastDoorbell } from "../../../lib/kv/broadcast_doorbell.ts";
import { ChannelImport } from "../../../lib/log/channel_import.ts";
import { ImportRefusedError } from "../../../lib/log/import_lease.ts";
import type { Log } from "../../../lib/log/log.ts";
import type { LogEvent } from "../../../lib/shared/event.ts";
import { epochAt, formatOffset } from "../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { itemsOf, readEvents, readRuns, upTo } from "../../support/log_reading.ts";
import { type LogStore, STORES } from "../../support/log_stores.ts";

const A = testChannelKey("a");
const HOUR = 60 * 60 * 1_000;
const NOW = Date.UTC(2026, 0, 1);
const EPOCH = epochAt(NOW - 1_000);
const OPTIONS = { now: () => NOW };

function eventAt(sequence: number): LogEvent {
  return {
    sequence,
    id: sequence % 2 === 0 ? `id-${sequence}` : undefined,
    type: sequence % 3 === 0 ? "t" : "message",
    time: NOW + sequence,
    contentType: "application/json",
    data: sequence % 50 === 0 ? JSON.stringify("x".repeat(200_000)) : `${sequence}`,
    key: undefined,
    publisher: sequence % 5 === 0 ? "ann" : undefined,
    traceparent: undefined,
    expiresAt: undefined,
  };
}

/** An import of the events `first` to `last`. */
class Import {
  readonly #store: LogStore;
  readonly #channel;
  readonly #writers = new AsyncDisposableStack();
  readonly doorbell = new BroadcastDoorbell(crypto.randomUUID());

  constructor(store: LogStore, first: number, last: number, channelKey = A, epoch = EPOCH) {
    this.#store = store;
    this.#channel = {
      channelKey,
      epoch,
      first,
      last,
      time: NOW,
      retention: { events: 900 },
    };
  }

  /** Begins as if the process of earlier ones was killed, unless the store `isShared`. */
  async begin(isShared = false): Promise<ChannelImport | undefined> {
    const { kv } = this.#store;
    const options = { kv, doorbell: this.doorbell, traits: { isShared }, now: () => NOW };
    const writer = await ChannelImport.begin(options, this.#channel);
    return writer && this.#writers.use(writer);
  }

  async all(sequences: readonly number[]): Promise<void> {
    const writer = await this.begin();
    assert.ok(writer !== undefined);
    for (const sequence of sequences) await writer.add(eventAt(sequence));
    await writer.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writers.disposeAsync();
    await this.doorbell.close();
  }
}

/** The rows that imports write before a channel appears. */
async function countRows({ kv }: LogStore): Promise<number> {
  let count = 0;
  for (const prefix of ["log", "chunk", "seen", "sweep", "import"]) {
    for await (const _row of kv.list({ prefix: [prefix] })) count++;
  }
  return count;
}

async function itemNames(log: Log, channelKey = A): Promise<readonly string[]> {
  const items = itemsOf(await readRuns(log, channelKey, { epoch: EPOCH, sequence: 2 }));
  return items.map((item) =>
    "gap" in item ? `${item.gap.reason} ${item.gap.lost}` : `${item.event.sequence}`
  );
}

for (const { name, ignore, open } of STORES) {
  const test = (what: string, fn: (store: LogStore) => Promise<void>) =>
    Deno.test({
      name: `${what} (${name})`,
      ignore,
      fn: async () => {
        await using store = await open();
        await fn(store);
      },
    });

  test("an import that is interrupted anywhere is invisible and can be continued", async (store) => {
    const log = await store.isolate(OPTIONS);
    await using imported = new Import(store, 3, 902);
    const sequences = upTo(902).slice(2);
    for (const stop of [1, 400, 899]) {
      const writer = await imported.begin();
      assert.ok(writer !== undefined);
      for (const sequence of sequences.slice(0, stop)) await writer.add(eventAt(sequence));
      assert.equal(await log.head(A), undefined);
    }
    const last = await imported.begin();
    assert.ok(last !== undefined && last.last > 400);
    await imported.all(sequences);
    assert.deepEqual(await readEvents(log, A), sequences.map(eventAt));
    const head = await log.head(A);
    assert.deepEqual([head?.epoch, head?.first, head?.last], [EPOCH, 3, 902]);
    const [next, repeat] = await log.append([draft("a", "1"), draft("a", "4", { id: "id-4" })]);
    assert.equal(next?.offset, formatOffset(EPOCH, 903));
    assert.equal(repeat?.offset, formatOffset(EPOCH, 4));
    // Retention counts what was imported.
    await log.retain();
    assert.equal((await log.head(A))?.first, 4);
  });

  test("an import refuses channels that exist, existed or are being deleted", async (store) => {
    const log = await store.isolate(OPTIONS);
    await using imported = new Import(store, 3, 5);
    const late = await imported.begin();
    await log.append([draft("a", "1")]);
    await assert.rejects(imported.begin(), ImportRefusedError);
    await assert.rejects(late?.finish() ?? Promise.resolve(), ImportRefusedError);
    await log.delete(A);
    await assert.rejects(imported.begin(), /24 hours/);
    assert.equal(await log.head(A), undefined);

    await using other = new Import(store, 3, 5, testChannelKey("b"));
    const writer = await other.begin();
    await writer?.add(eventAt(3));
    await writer?.abandon();
    await assert.rejects(other.begin(), /being deleted/);
    await log.retain();
    await other.all([3, 4, 5]);
    assert.equal(await other.begin(), undefined);
    await log.append([draft("b", "1")]);
    await assert.rejects(other.begin(), /exists already/);
  });

  test("what an import has left can be continued for an hour, and is deleted then", async (store) => {
    let time = NOW;
    const log = await store.isolate({ now: () => time });
    for (const stop of [160, 700]) { // chunks without a batch, and with some
      await using imported = new Import(store, 1, 700);
      const writer = await imported.begin();
      for (const sequence of upTo(stop)) await writer?.add(eventAt(sequence));
      const rows = await countRows(store);
      assert.ok(rows > 3);
      time += HOUR - 1;
      await log.retain();
      assert.equal(await countRows(store), rows);
      time += 1;
      await log.retain();
      assert.equal(await countRows(store), 0);
      await assert.rejects(writer?.finish() ?? Promise.resolve(), /no progress for an hour/);
      assert.equal(await countRows(store), 0);
      time = NOW;
    }
    await using imported = new Import(store, 1, 700);
    await imported.all(upTo(700));
    assert.deepEqual(await readEvents(log, A), upTo(700).map(eventAt));
  });

  test("a second import of a channel is refused while the first one runs", async (store) => {
    const log = await store.isolate(OPTIONS);
    await using imported = new Import(store, 1, 3);
    const first = await imported.begin(true);
    await assert.rejects(imported.begin(true), /another import of it is running/);
    await first?.[Symbol.asyncDispose]();
    const second = await imported.begin(true);
    await first?.add(eventAt(1));
    await assert.rejects(first?.finish() ?? Promise.resolve(), /another import of it has begun/);
    for (const sequence of upTo(3)) await second?.add(eventAt(sequence));
    await second?.finish();
    assert.deepEqual(await readEvents(log, A), upTo(3).map(eventAt));
  });

  test("an import of another epoch ends an earlier one of the channel", async (store) => {
    const log = await store.isolate(OPTIONS);
    await using other = new Import(store, 1, 3, A, epochAt(NOW - 2_000));
    const lost = await other.begin();
    for (const sequence of upTo(600)) await lost?.add(eventAt(sequence));
    await using imported = new Import(store, 1, 3);
    const writer = await imported.begin();
    await assert.rejects(lost?.finish() ?? Promise.resolve(), ImportRefusedError);
    for (const sequence of upTo(3)) await writer?.add(eventAt(sequence));
    await writer?.finish();
    await log.retain();
    const [repeat] = await log.append([draft("a", "2", { id: "id-2" })]);
    assert.equal(repeat?.offset, formatOffset(EPOCH, 2));
    assert.equal(await countRows(store), 2); // a batch, and an id
  });

  test("missing events of an import are gaps", async (store) => {
    const log = await store.isolate(OPTIONS);
    const channels: readonly (readonly [readonly number[], readonly string[]])[] = [
      [[3, 5, 6], ["3", "expired 1", "5", "6"]],
      [[5], ["expired 2", "5", "expired 1"]],
      [[], ["expired 4"]],
    ];
    for (const [i, [sequences, items]] of channels.entries()) {
      const channelKey = testChannelKey(`${i}`);
      await using imported = new Import(store, 3, 6, channelKey);
      await imported.all(sequences);
      assert.deepEqual(await itemNames(log, channelKey), items);
    }
    await using empty = new Import(store, 4, 3, testChannelKey("empty"));
    await empty.all([]);
    const [first] = await log.append([draft("empty", "1")]);
    assert.equal(first?.offset, formatOffset(EPOCH, 4));
  });
}
