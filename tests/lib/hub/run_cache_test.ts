import assert from "node:assert/strict";
import { RunCache } from "../../../lib/hub/run_cache.ts";
import type { Run } from "../../../lib/log/run.ts";
import { testChannelKey } from "../../support/drafts.ts";
import { testRun } from "../../support/runs.ts";

const A = testChannelKey("a");
const B = testChannelKey("b");

Deno.test("RunCache.clear() looks only at the runs of its channel", () => {
  const cache = new RunCache(Infinity);
  let reads = 0;
  const counting = (run: Run) =>
    new Proxy(run, {
      get(target, name) {
        reads++;
        return Reflect.get(target, name);
      },
    });
  const channelKeys = Array.from({ length: 500 }, (_, i) => testChannelKey(`c${i}`));
  for (const channelKey of channelKeys) cache.add(counting(testRun(channelKey, 0, ["1"])));
  reads = 0;
  for (const channelKey of channelKeys) cache.clear(channelKey);
  assert.ok(reads <= 10 * channelKeys.length, `${reads} reads of ${channelKeys.length} runs`);
});

Deno.test("RunCache.clear() gives the room of its channel to others, and keeps their runs", () => {
  const run = (channel: typeof A, after: number) => testRun(channel, after, ["1"]);
  const cache = new RunCache(1_000); // three runs
  for (const after of [0, 1]) cache.add(run(A, after));
  cache.add(run(B, 0));
  cache.clear(A);
  for (const after of [1, 2]) cache.add(run(B, after));
  assert.deepEqual(cache.take(A, 0, 64), []);
  assert.equal(cache.take(B, 0, 64).length, 3);
  cache.add(run(B, 3));
  assert.deepEqual(cache.take(B, 0, 64), [], "the oldest run had to go");
  assert.equal(cache.take(B, 1, 64).length, 3);
});
