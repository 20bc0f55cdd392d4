import fc from "fast-check";
import assert from "node:assert/strict";
import { keys } from "../../../lib/kv/keys.ts";
import { findFirstKept } from "../../../lib/log/first_kept.ts";
import { newHead, type StoredHead } from "../../../lib/log/head.ts";
import type { StoredBatch } from "../../../lib/log/record_batch.ts";
import { isKept } from "../../../lib/log/retention_limits.ts";
import { testChannelKey } from "../../support/drafts.ts";
import { overridingKv } from "../../support/failing_kv.ts";

const A = testChannelKey("a");

interface Event {
  readonly sequence: number;
  readonly time: number;
  readonly startBytes: number;
}

/** Writes batches of events with these delays and sizes; returns the head and all events. */
async function writeLog(
  kv: Deno.Kv,
  batches: readonly (readonly (readonly [delay: number, size: number])[])[],
): Promise<{ readonly head: StoredHead; readonly events: readonly Event[] }> {
  let head = newHead(0);
  const events: Event[] = [];
  for (const batch of batches) {
    const before = head;
    const delays: number[] = [];
    for (const [delay, size] of batch) {
      const time = head.time + delay;
      delays.push(time - before.time);
      events.push({ sequence: head.last + 1, time, startBytes: head.endBytes });
      head = { ...head, last: head.last + 1, time, endBytes: head.endBytes + size };
    }
    const row: StoredBatch = {
      commit: "",
      first: before.last + 1,
      endBytes: head.endBytes,
      time: before.time,
      delays,
      data: batch.map(([, size]) => "x".repeat(size)),
    };
    await kv.set(keys.batch(A, head.epoch, head.last), row);
  }
  return { head, events };
}

Deno.test("findFirstKept() finds what reading the whole log finds", async () => {
  const limit = (max: number) => fc.oneof(fc.nat(max), fc.constant(Infinity));
  const batch = fc.array(fc.tuple(fc.nat(3), fc.nat(5)), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(batch, { minLength: 1, maxLength: 12 }),
      fc.record({ events: limit(60), bytes: limit(200), age: limit(100) }),
      fc.nat(60),
      async (batches, limits, dropped) => {
        const kv = await Deno.openKv(":memory:");
        try {
          const { head: whole, events } = await writeLog(kv, batches);
          const head = { ...whole, first: 1 + dropped % whole.last };
          const now = head.time;
          const kept = events.find((event) =>
            event.sequence >= head.first && isKept(event, head, limits, now)
          );
          const found = await findFirstKept({ kv, channelKey: A, head, limits, now });
          assert.deepEqual(
            [found.first, found.oldest, found.startBytes],
            kept === undefined
              ? [head.last + 1, head.time, head.endBytes]
              : [kept.sequence, kept.time, kept.startBytes],
          );
        } finally {
          kv.close();
        }
      },
    ),
  );
});

Deno.test("findFirstKept() reads few batches of a long log", async () => {
  const kv = await Deno.openKv(":memory:");
  try {
    const { head } = await writeLog(kv, Array.from({ length: 1_000 }, () => [[1, 1]]));
    const KEEP_ALL = { age: Infinity, events: Infinity, bytes: Infinity };
    for (
      const [limits, most] of [[{ events: 10 }, 1], [{ age: 10 }, 12], [{ bytes: 10 }, 12]] as const
    ) {
      let reads = 0;
      const counted = overridingKv(kv, {
        list: (...args: Parameters<Deno.Kv["list"]>) => {
          reads++;
          return kv.list(...args);
        },
      });
      const found = await findFirstKept({
        kv: counted,
        channelKey: A,
        head,
        limits: { ...KEEP_ALL, ...limits },
        now: head.time,
      });
      assert.ok(found.first >= 990 && reads <= most, `${found.first}, ${reads} reads`);
    }
  } finally {
    kv.close();
  }
});
