import assert from "node:assert/strict";
import fc from "fast-check";
import type { ChannelChange, Doorbell } from "../../../lib/kv/doorbell.ts";
import { runOfCarried } from "../../../lib/log/carried_events.ts";
import type { Draft } from "../../../lib/log/log.ts";
import { ORIGIN } from "../../../lib/shared/offset.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { openEmbedded } from "../../support/log_stores.ts";
import { eventsOf } from "../../support/log_reading.ts";

const MAX_BYTES = 1_024;

const name = fc.option(fc.string({ minLength: 1, maxLength: 8, unit: "grapheme-ascii" }), {
  nil: undefined,
});

const drafts = fc.array(
  fc.record({
    channel: fc.constantFrom("a", "b", "c"),
    data: fc.oneof(
      fc.json({ maxDepth: 1 }),
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom("x".repeat(800), "x".repeat(60_000)),
    ),
    id: fc.option(fc.uuid(), { nil: undefined }),
    key: name,
    publisher: name,
    traceparent: fc.constantFrom(`00-${"a".repeat(32)}-${"b".repeat(16)}-01`, undefined),
    type: fc.constantFrom("message", "message", "other"),
    contentType: fc.constantFrom("application/json", "application/json", "text/plain"),
    ttlMs: fc.option(fc.constant(60_000), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 8 },
);

Deno.test("what a doorbell carries is what the log has, and nothing of large commits", async () => {
  let carriedCommits = 0;
  let plainCommits = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(drafts, { minLength: 1, maxLength: 4 }), async (all) => {
      await using store = await openEmbedded();
      const changes: ChannelChange[] = [];
      const log = await store.isolate({ doorbell: recording(changes) });
      for (const each of all) {
        changes.length = 0;
        const before = new Map<string, { epoch: never; sequence: number }>();
        for (const { channel } of each) {
          const { end } = await log.bounds(testChannelKey(channel));
          before.set(testChannelKey(channel), end as never);
        }
        await log.append(
          each.map(({ channel, data, ...rest }): Draft => draft(channel, data, rest)),
        );
        const bytes = each.reduce((sum, { data }) => sum + data.length, 0);
        for (const { channelKey, carried } of changes) {
          const run = runOfCarried(channelKey, carried);
          if (run === undefined) {
            plainCommits++;
            continue;
          }
          carriedCommits++;
          const { runs } = await log.read(channelKey, before.get(channelKey) ?? ORIGIN, 1_000);
          assert.deepEqual(run.events, eventsOf(runs));
          assert.equal(run.after, (before.get(channelKey) ?? ORIGIN).sequence);
          assert.equal(run.epoch, runs[0]?.epoch);
          assert.equal(run.expiresAt, runs[0]?.expiresAt);
          assert.ok(bytes <= MAX_BYTES);
        }
        if (bytes <= 50 && each.length === 1) {
          assert.ok(changes.every(({ carried }) => carried !== undefined));
        }
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(carriedCommits > 20 && plainCommits > 20);
});

Deno.test("runOfCarried() returns undefined for what another version may have written", () => {
  const values = [undefined, null, 0, "text", {}, [], ["000000001", 1, 2, []], ["000000001", "1"]];
  for (const value of values) assert.equal(runOfCarried(testChannelKey("a"), value), undefined);
});

/** A doorbell that asks for events and notes what it gets. */
function recording(changes: ChannelChange[]): Doorbell {
  return {
    maxCarriedBytes: MAX_BYTES,
    prepare: (_, all) => void changes.push(...all),
    committed() {},
    ring() {},
    listen: () => ({ [Symbol.dispose]() {} }),
    close: () => Promise.resolve(),
  };
}
