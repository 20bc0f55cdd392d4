import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { newHead, type StoredHead } from "../../../lib/log/head.ts";
import { readLog, readStartOf } from "../../../lib/log/reader.ts";
import { lastOf, packBatches, type PackedEvent } from "../../../lib/log/record_batch.ts";
import type { Gap } from "../../../lib/shared/event.ts";
import { epochAt, formatOffset, ORIGIN, type Position } from "../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { dataOf, eventsOf, sequencesOf, upTo } from "../../support/log_reading.ts";

const A = testChannelKey("a");
const NOW = Date.UTC(2026, 0, 1);
const EPOCH = epochAt(NOW);
/** An epoch that a restore has ended after 7 events. */
const RESTORED = epochAt(NOW - 2);
const EARLIER = [{ epoch: RESTORED, last: 7 }];
const LATER = epochAt(NOW, EPOCH);

interface StartRow {
  readonly name: string;
  readonly after: Position;
  readonly first?: number;
  readonly start: number;
  /** `reason lost`. */
  readonly gap?: string;
  /** @default the first sequence */
  readonly firstAvailable?: number;
}

const STARTS: readonly StartRow[] = [
  { name: "in the log", after: { epoch: EPOCH, sequence: 5 }, start: 5 },
  { name: "at its end", after: { epoch: EPOCH, sequence: 9 }, start: 9 },
  { name: "beyond its end", after: { epoch: EPOCH, sequence: 10 }, start: 0, gap: "ahead null" },
  { name: "before its first event", after: { epoch: EPOCH, sequence: 3 }, first: 4, start: 3 },
  {
    name: "in its dropped part",
    after: { epoch: EPOCH, sequence: 1 },
    first: 4,
    start: 3,
    gap: "expired 2",
  },
  {
    name: "at the end of an earlier epoch",
    after: { epoch: epochAt(NOW - 1), sequence: 5 },
    start: 0,
    gap: "recreated null",
  },
  {
    name: "in a later epoch",
    after: { epoch: LATER, sequence: 5 },
    start: 0,
    gap: "recreated null",
  },
  {
    name: "before a restore",
    after: { epoch: RESTORED, sequence: 5 },
    start: 5,
    gap: "restored 0",
    firstAvailable: 6,
  },
  {
    name: "at the end of a restored epoch",
    after: { epoch: RESTORED, sequence: 7 },
    start: 7,
    gap: "restored 0",
    firstAvailable: 8,
  },
  {
    name: "after the backup that was restored",
    after: { epoch: RESTORED, sequence: 8 },
    start: 0,
    gap: "recreated null",
  },
  {
    name: "before a restore, in the dropped part",
    after: { epoch: RESTORED, sequence: 1 },
    first: 4,
    start: 3,
    gap: "expired 2",
  },
  { name: "at the origin", after: ORIGIN, start: 0 },
  { name: "at the origin of a trimmed log", after: ORIGIN, first: 4, start: 3, gap: "expired 3" },
];

for (const { name, after, first = 1, start, gap, firstAvailable = first } of STARTS) {
  Deno.test(`readStartOf() a position ${name}: ${gap === undefined ? "no gap" : `gap ${gap}`}`, () => {
    const found = readStartOf(after, { epoch: EPOCH, first, last: 9, earlier: EARLIER });
    assert.equal(found.after, start);
    assert.equal(found.gap && `${found.gap.reason} ${found.gap.lost}`, gap);
    if (found.gap === undefined) return;
    assert.equal(found.gap.requested, formatOffset(after.epoch, after.sequence));
    assert.equal(found.gap.firstAvailable, formatOffset(EPOCH, firstAvailable));
  });
}

interface StoredLog {
  readonly head?: Partial<StoredHead>;
  /** The sequences of each batch. */
  readonly batches: readonly (readonly number[])[];
  readonly event?: (sequence: number) => Partial<PackedEvent["event"]>;
}

/** Writes the rows of a log, in which the data of an event is its sequence. */
async function storeLog(kv: Deno.Kv, { head, batches, event }: StoredLog): Promise<void> {
  const last = batches.flat().at(-1) ?? 0;
  await kv.set(keys.head(A), { ...newHead(NOW), epoch: EPOCH, last, ...head });
  for (const sequences of batches) {
    const packed = sequences.map((sequence): PackedEvent => {
      const { data, bytes, type, contentType } = draft("a", `${sequence}`);
      return {
        event: {
          sequence,
          id: undefined,
          type,
          contentType,
          time: NOW,
          data,
          key: undefined,
          publisher: undefined,
          traceparent: undefined,
          expiresAt: undefined,
          ...event?.(sequence),
        },
        stored: event?.(sequence).data ?? data,
        bytes,
      };
    });
    for (const batch of packBatches("commit", 0, packed)) {
      await kv.set(keys.batch(A, EPOCH, lastOf(batch)), batch);
    }
  }
}

async function read(log: StoredLog, after: Position, limit = 1_000, now = NOW) {
  using kv = await Deno.openKv(":memory:");
  await storeLog(kv, log);
  return await readLog({ kv, channelKey: A, after, limit, now });
}

function describeGap({ reason, requested, firstAvailable, lost }: Gap): string {
  const [from, to] = [requested, firstAvailable].map((offset) => Number(offset.slice(-16)));
  return `${reason}: ${lost} from ${from} to ${to}`;
}

Deno.test("readLog() returns an empty result for a channel that does not exist", async () => {
  using kv = await Deno.openKv(":memory:");
  const options = { kv, channelKey: A, limit: 10, now: NOW };
  for (const after of [ORIGIN, { epoch: EPOCH, sequence: 3 }]) {
    assert.deepEqual(await readLog({ ...options, after }), { runs: [], head: undefined });
  }
});

Deno.test("readLog() returns no head for a deleted channel, and a gap for its readers", async () => {
  const log = { head: { deleted: true }, batches: [] };
  const { runs, head } = await read(log, { epoch: epochAt(NOW - 1), sequence: 5 });
  assert.equal(head, undefined);
  assert.deepEqual(runs.map(({ gap }) => gap?.reason), ["recreated"]);
  assert.deepEqual((await read(log, { epoch: EPOCH, sequence: 0 })).runs, []);
});

Deno.test("readLog() returns one run from the middle of a batch", async () => {
  const { runs, head } = await read({ batches: [[1, 2, 3], [4, 5]] }, {
    epoch: EPOCH,
    sequence: 2,
  });
  assert.equal(runs.length, 1);
  assert.equal(runs[0]?.after, 2);
  assert.deepEqual(dataOf(eventsOf(runs)), ["3", "4", "5"]);
  assert.equal(head?.last, 5);
});

Deno.test("readLog() puts a gap where batches are missing", async () => {
  const batches = [[1, 2], [5, 6], [7], [9]];
  const { runs } = await read({ batches }, { epoch: EPOCH, sequence: 0 });
  assert.deepEqual(runs.map(({ events }) => sequencesOf(events)), [[1, 2], [5, 6, 7], [9]]);
  assert.deepEqual(
    runs.map(({ gap }) => gap && describeGap(gap)),
    [undefined, "expired: 2 from 2 to 5", "expired: 1 from 7 to 9"],
  );
});

Deno.test("readLog() extends the first gap by batches that are missing after it", async () => {
  const log = { head: { first: 3 }, batches: [[6, 7]] };
  for (
    const [after, gap] of [
      [{ epoch: EPOCH, sequence: 1 }, "expired: 4 from 1 to 6"],
      [{ epoch: EPOCH, sequence: 2 }, "expired: 3 from 2 to 6"],
      [{ epoch: epochAt(NOW - 1), sequence: 2 }, "recreated: null from 2 to 6"],
    ] as const
  ) {
    const { runs } = await read(log, after);
    assert.deepEqual(runs.map(({ gap }) => gap && describeGap(gap)), [gap]);
    assert.deepEqual(sequencesOf(eventsOf(runs)), [6, 7]);
  }
});

Deno.test("readLog() returns a gap alone if nothing follows it", async () => {
  const { runs } = await read({ head: { first: 4, last: 3 }, batches: [] }, ORIGIN);
  assert.deepEqual(runs.map(({ gap }) => gap && describeGap(gap)), ["expired: 3 from 0 to 4"]);
  assert.deepEqual(eventsOf(runs), []);
});

Deno.test("readLog() puts a gap in place of expired events", async () => {
  const log: StoredLog = {
    batches: [[1, 2, 3, 4, 5]],
    event: (sequence) => sequence === 2 || sequence === 3 ? { expiresAt: NOW + 10 } : {},
  };
  const before = await read(log, ORIGIN, 10, NOW + 9);
  assert.deepEqual(sequencesOf(eventsOf(before.runs)), [1, 2, 3, 4, 5]);
  const { runs } = await read(log, ORIGIN, 10, NOW + 10);
  assert.deepEqual(runs.map(({ events }) => sequencesOf(events)), [[1], [4, 5]]);
  assert.equal(runs[1]?.gap && describeGap(runs[1].gap), "expired: 2 from 1 to 4");
});

Deno.test("readLog() ends within a batch at its limit", async () => {
  const batches = [[1, 2, 3], [4, 5, 6]];
  for (const limit of upTo(6)) {
    const { runs, head } = await read({ batches }, { epoch: EPOCH, sequence: 0 }, limit);
    assert.deepEqual(sequencesOf(eventsOf(runs)), upTo(limit));
    assert.equal(head?.last, 6);
  }
});

Deno.test("readLog() ends once it has 256 KiB, after at least one event", async () => {
  const log: StoredLog = {
    batches: upTo(100).map((sequence) => [sequence]),
    event: () => ({ data: "x".repeat(16_384) }),
  };
  const { runs } = await read(log, { epoch: EPOCH, sequence: 10 });
  assert.deepEqual(sequencesOf(eventsOf(runs)), upTo(26).slice(10));
});
