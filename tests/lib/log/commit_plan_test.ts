import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { ChannelCounts } from "../../../lib/log/channel_counts.ts";
import { type CommitPlan, planCommit } from "../../../lib/log/commit_plan.ts";
import { HeadCache } from "../../../lib/log/head_cache.ts";
import { newHead, type StoredHead } from "../../../lib/log/head.ts";
import { type AppendedEvent, StaleRowsError } from "../../../lib/log/log.ts";
import type { PendingAppend } from "../../../lib/log/pending_append.ts";
import { packBatches } from "../../../lib/log/record_batch.ts";
import type { ChannelKey } from "../../../lib/shared/channel.ts";
import { type Epoch, epochAt, formatOffset } from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { pendingAppend } from "../../support/pending_appends.ts";

const A = testChannelKey("a");
const B = testChannelKey("b");
const NOW = Date.UTC(2026, 0, 1);
const EPOCH = epochAt(NOW - 1_000);

/** A kv for plans that must not read it. */
const NO_KV = new Proxy({}, {
  get() {
    throw new Error("the plan reads the store");
  },
}) as Deno.Kv;

interface PlanOptions {
  readonly kv?: Deno.Kv;
  readonly heads?: Iterable<readonly [ChannelKey, StoredHead]>;
  readonly maxChannels?: number;
}

async function plan(
  group: readonly PendingAppend[],
  { kv = NO_KV, heads = [], maxChannels = Infinity }: PlanOptions = {},
): Promise<CommitPlan> {
  const cache = new HeadCache(kv);
  for (const [channelKey, head] of heads) {
    cache.set(channelKey, {
      head,
      row: { key: keys.head(channelKey), versionstamp: "00000000000000010000" },
    });
  }
  const counts = new ChannelCounts(kv, maxChannels, () => NOW);
  await counts.load(group.flatMap(({ channelKeys }) => channelKeys), cache);
  return await planCommit({ kv, heads: cache, counts }, group, NOW);
}

/** A head with events 1 to `last` of 10 bytes each. */
function headWith(last: number, more: Partial<StoredHead> = {}): StoredHead {
  return { ...newHead(NOW - 1_000), epoch: EPOCH, last, endBytes: 10 * last, ...more };
}

function appended(plan: CommitPlan, pending: PendingAppend): readonly AppendedEvent[] {
  const outcome = plan.outcomes.get(pending);
  assert.ok(outcome !== undefined && !(outcome instanceof Error), `${outcome}`);
  return outcome;
}

function sequencesOf(plan: CommitPlan, channelKey: ChannelKey): readonly number[] {
  const channel = plan.channels.find((each) => each.channelKey === channelKey);
  return channel?.events.map(({ event }) => event.sequence) ?? [];
}

function codeOf(plan: CommitPlan, pending: PendingAppend): string | undefined {
  const outcome = plan.outcomes.get(pending);
  return outcome instanceof Problem ? outcome.code : undefined;
}

Deno.test("planCommit() numbers the events of a new channel from 1, over all appends", async () => {
  const group = [
    pendingAppend(draft("a", "1"), draft("b", "2"), draft("a", "3")),
    pendingAppend(draft("a", "4")),
  ];
  const planned = await plan(group);
  assert.deepEqual(sequencesOf(planned, A), [1, 2, 3]);
  assert.deepEqual(sequencesOf(planned, B), [1]);
  const [first] = planned.channels;
  assert.deepEqual(first?.before, {
    head: null,
    row: { key: keys.life(A), versionstamp: null },
  });
  const { epoch, last, endBytes } = first?.head ?? assert.fail();
  assert.deepEqual([epoch, first?.head.first, last, endBytes], [epochAt(NOW), 1, 3, 3]);
  assert.deepEqual(
    group.map((pending) => appended(planned, pending).map(({ offset, id }) => [offset, id])),
    [[1, 1, 2], [3]].map((sequences) =>
      sequences.map((sequence) => {
        const offset = formatOffset(epoch, sequence);
        return [offset, offset];
      })
    ),
  );
});

Deno.test("planCommit() continues after the head of the channel", async () => {
  const head = headWith(7, { first: 4, startBytes: 30, oldest: NOW - 500 });
  const planned = await plan([pendingAppend(draft("a", "12345"))], { heads: [[A, head]] });
  const [channel] = planned.channels;
  assert.deepEqual(sequencesOf(planned, A), [8]);
  assert.equal(channel?.startBytes, 70);
  assert.deepEqual(channel?.head, { ...head, last: 8, time: NOW, endBytes: 75 });
});

Deno.test("planCommit() never decreases the time of a channel's events", async () => {
  const later = NOW + 60_000;
  const group = [pendingAppend({ ...draft("a", "1"), ttlMs: 5 })];
  const planned = await plan(group, { heads: [[A, headWith(1, { time: later })]] });
  const [packed] = planned.channels[0]?.events ?? [];
  assert.equal(packed?.event.time, later);
  assert.equal(packed?.event.expiresAt, NOW + 5, "the time to live follows the clock");
  assert.equal(planned.channels[0]?.head.time, later);
});

Deno.test("planCommit() takes the time of the first event as the oldest of an empty log", async () => {
  const empty = headWith(3, { first: 4, oldest: NOW - 900 });
  const planned = await plan([pendingAppend(draft("a", "4"))], { heads: [[A, empty]] });
  assert.equal(planned.channels[0]?.head.oldest, NOW);
});

Deno.test("planCommit() starts the reserved epoch of a deleted channel", async () => {
  const deleted = headWith(0, { deleted: true });
  const planned = await plan([pendingAppend(draft("a", "1"))], { heads: [[A, deleted]] });
  const { epoch, last, deleted: isDeleted } = planned.channels[0]?.head ?? assert.fail();
  assert.deepEqual([epoch, last, isDeleted], [EPOCH, 1, false]);
});

Deno.test("planCommit() leaves out appends whose caller has its answer", async () => {
  const [late, other] = [pendingAppend(draft("a", "1")), pendingAppend(draft("a", "2"))];
  late.settled = true;
  const planned = await plan([late, other]);
  assert.equal(planned.outcomes.has(late), false);
  assert.equal(planned.channels[0]?.events.length, 1);
  assert.equal(planned.channels[0]?.events[0]?.event.data, "2");
});

Deno.test("planCommit() stores drafts with the same id once", async () => {
  using kv = await Deno.openKv(":memory:");
  const first = pendingAppend(draft("a", "1", { id: "x" }), draft("a", "1", { id: "x" }));
  const second = pendingAppend(draft("a", "2"), draft("a", "1", { id: "x" }));
  const elsewhere = pendingAppend(draft("b", "other", { id: "x" }));
  const planned = await plan([first, second, elsewhere], { kv });
  assert.deepEqual(sequencesOf(planned, A), [1, 2]);
  assert.deepEqual(sequencesOf(planned, B), [1]);
  const duplicates = [first, second, elsewhere].map((pending) =>
    appended(planned, pending).map(({ duplicate }) => duplicate)
  );
  assert.deepEqual(duplicates, [[false, true], [false, true], [false]]);
  assert.equal(appended(planned, second)[1]?.offset, appended(planned, first)[0]?.offset);
});

Deno.test("planCommit() refuses a different event with the same id, and stores the others", async () => {
  using kv = await Deno.openKv(":memory:");
  const event = { id: "x", key: "k", type: "t" };
  const group = [
    pendingAppend(draft("a", "1", event)),
    pendingAppend(draft("a", "2"), draft("a", "other", event)),
    pendingAppend(draft("a", "1", { ...event, key: "other" })),
    pendingAppend(draft("a", "1", { ...event, type: "other" })),
    pendingAppend(draft("a", new Uint8Array([49]), event)),
    pendingAppend(draft("b", "1", event), draft("b", "2", event)),
    pendingAppend(draft("a", "3")),
  ];
  const planned = await plan(group, { kv });
  const codes = group.map((pending) => codeOf(planned, pending));
  assert.deepEqual(codes, [undefined, ...Array(5).fill("idempotency_conflict"), undefined]);
  const indices = group.map((pending) => {
    const outcome = planned.outcomes.get(pending);
    return outcome instanceof Problem ? outcome.index : undefined;
  });
  assert.deepEqual(indices, [undefined, 1, 0, 0, 0, 1, undefined]);
  assert.deepEqual(sequencesOf(planned, A), [1, 2]);
  assert.deepEqual(sequencesOf(planned, B), []);
});

/** Stores event `sequence` of the channel `a`, with the id `x`. */
async function storeEvent(kv: Deno.Kv, epoch: Epoch, sequence: number): Promise<void> {
  const { data, bytes, type, contentType } = draft("a", "kept");
  const event = {
    sequence,
    id: "x",
    type,
    contentType,
    time: NOW,
    data,
    key: undefined,
    publisher: undefined,
    traceparent: undefined,
    expiresAt: undefined,
  };
  const [batch] = packBatches("commit", 0, [{ event, stored: data, bytes }]);
  await kv.set(keys.batch(A, epoch, sequence), batch);
  await kv.set(keys.seen(A, "x"), [epoch, sequence]);
}

Deno.test("planCommit() finds the kept event that has the id", async () => {
  using kv = await Deno.openKv(":memory:");
  await storeEvent(kv, EPOCH, 3);
  const group = [
    pendingAppend(draft("a", "kept", { id: "x" })),
    pendingAppend(draft("a", "another", { id: "x" })),
  ];
  const planned = await plan(group, { kv, heads: [[A, headWith(5)]] });
  const [repeat, conflict] = group;
  assert.ok(repeat !== undefined && conflict !== undefined);
  const offset = formatOffset(EPOCH, 3);
  assert.deepEqual(appended(planned, repeat), [{ offset, id: "x", duplicate: true }]);
  assert.equal(codeOf(planned, conflict), "idempotency_conflict");
  assert.deepEqual(sequencesOf(planned, A), []);
  assert.equal(planned.channels.length, 1, "the head is still checked");
});

Deno.test("planCommit() forgets ids of dropped events and of earlier epochs", async () => {
  for (const head of [headWith(5, { first: 4 }), headWith(5, { epoch: epochAt(NOW) })]) {
    using kv = await Deno.openKv(":memory:");
    await storeEvent(kv, EPOCH, 3);
    const pending = pendingAppend(draft("a", "another", { id: "x" }));
    const planned = await plan([pending], { kv, heads: [[A, head]] });
    assert.deepEqual(sequencesOf(planned, A), [6]);
    assert.equal(appended(planned, pending)[0]?.duplicate, false);
  }
});

Deno.test("planCommit() reports the chunks of repeated events as unused", async () => {
  using kv = await Deno.openKv(":memory:");
  const large = () => draft("a", new Uint8Array(100_000), { id: "large" });
  const [first, repeat] = [pendingAppend(large()), pendingAppend(large())];
  const planned = await plan([first, repeat], { kv });
  const blobs = repeat.stored.chunks.map(({ blob }) => blob);
  assert.deepEqual([...planned.unusedBlobs], [...new Set(blobs)]);
  assert.deepEqual(planned.stored, [first.stored, repeat.stored]);
});

Deno.test("planCommit() refuses new channels beyond the tenant's limit, and no others", async () => {
  using kv = await Deno.openKv(":memory:");
  const group = [
    pendingAppend(draft("a", "1")),
    pendingAppend(draft("b", "1"), draft("a", "2")),
    pendingAppend(draft("a", "3")),
    pendingAppend(draft("old", "1")),
  ];
  const planned = await plan(group, {
    kv,
    maxChannels: 1,
    heads: [[testChannelKey("old"), headWith(1)]],
  });
  assert.deepEqual(
    group.map((pending) => codeOf(planned, pending)),
    [undefined, "tenant_limit", undefined, undefined],
  );
  assert.deepEqual(sequencesOf(planned, A), [1, 2]);
});

Deno.test("planCommit() refuses appends whose rows exist, and plans the rows of the others", async () => {
  using kv = await Deno.openKv(":memory:");
  await kv.set(["row", "taken"], 1);
  const rows = (name: string) => ({
    checks: [],
    absent: [["row", name]],
    keyBytes: 10,
    valueBytes: 10,
    write() {},
  });
  const [stale, fresh] = [
    pendingAppend({ ...draft("a", "1"), rows: rows("taken") }),
    pendingAppend(draft("a", "2"), { ...draft("a", "3"), rows: rows("free") }),
  ];
  const planned = await plan([stale, fresh], { kv });
  assert.ok(planned.outcomes.get(stale) instanceof StaleRowsError);
  assert.deepEqual(sequencesOf(planned, A), [1, 2]);
  assert.deepEqual(planned.rows, [
    { change: fresh.drafts[1]?.rows, offset: appended(planned, fresh)[1]?.offset },
  ]);
});
