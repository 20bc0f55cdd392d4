import assert from "node:assert/strict";
import type { Log } from "../../../lib/log/log.ts";
import { formatOffset } from "../../../lib/shared/offset.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { Denokv, DENOKV_MISSING } from "../../support/denokv.ts";
import { draft, testChannelKey } from "../../support/drafts.ts";
import { problem, readRuns, Recorder, sequencesOf, upTo } from "../../support/log_reading.ts";
import { openDenokv } from "../../support/log_stores.ts";
import { until } from "../../support/until.ts";

const A = testChannelKey("a");
const ignore = DENOKV_MISSING;
const CHANNELS = ["a", "b", "c"];

Deno.test(
  "no event is lost or repeated when the store is killed again and again",
  { ignore },
  async () => {
    await using server = await Denokv.start();
    await using store = await openDenokv(server);
    const logs = [await store.isolate(), await store.isolate()];
    const acknowledged = new Map<string, string>(); // channel and data → offset
    const refused: string[] = [];
    let isOver = false;
    let count = 0;
    const isPublished = (goal: number) =>
      until(`${goal} events are published`, () => count >= goal);

    async function publish(who: number): Promise<void> {
      for (let i = 0; !isOver; i++) {
        const to = i % 5 === 0 ? CHANNELS : [CHANNELS[(i + who) % 3] ?? "a"];
        const data = `${who} ${i} ${"x".repeat(i % 7 === 0 ? 5_000 : 50)}`;
        try {
          const log = logs[who % 2] ?? assert.fail();
          const appended = await log.append(to.map((channel) => draft(channel, data)));
          to.forEach((channel, at) =>
            acknowledged.set(`${channel} ${data}`, appended[at]?.offset ?? "")
          );
          count += to.length;
        } catch (cause) {
          if (!(cause instanceof Problem)) throw cause;
          assert.ok(["commit_unknown", "storage_unavailable"].includes(cause.code), cause.message);
          refused.push(cause.code);
        }
      }
    }

    const publishers = upTo(24).map(publish);
    for (const kill of upTo(12)) {
      await isPublished(count + 100);
      // Each time at a different moment: some servers die before they have committed, some after.
      await new Promise((resolve) => setTimeout(resolve, kill % 6));
      await server.kill();
      await server.start();
    }
    await isPublished(count + 400);
    isOver = true;
    await Promise.all(publishers);
    await Promise.all(logs.map((log) => log.close()));

    const reader = await store.isolate();
    const stored = new Map<string, string>();
    for (const channel of CHANNELS) {
      const runs = await readRuns(reader, testChannelKey(channel));
      const events = runs.flatMap((run) =>
        run.events.map((event) => ({ ...event, epoch: run.epoch }))
      );
      assert.deepEqual(sequencesOf(events), upTo(events.length));
      assert.ok(runs.every(({ gap }) => gap === undefined));
      for (const { data, epoch, sequence } of events) {
        const key = `${channel} ${data}`;
        assert.ok(!stored.has(key), `${key.slice(0, 30)} is stored twice`);
        stored.set(key, formatOffset(epoch, sequence));
      }
    }
    for (const [key, offset] of acknowledged) {
      assert.equal(stored.get(key), offset, `${key.slice(0, 30)} was acknowledged`);
    }
    // Every stored event was acknowledged or is one of a refused append.
    assert.ok(stored.size - acknowledged.size <= refused.length * CHANNELS.length);
  },
);

Deno.test("an outage of the store is reported within seconds, and the log recovers after it", {
  ignore,
}, async () => {
  await using server = await Denokv.start();
  await using store = await openDenokv(server);
  const log = await store.isolate({ safetyPollMs: 500 });
  const other = await store.isolate();
  const recorder = new Recorder();
  using _listening = log.listen(A, recorder);
  await log.append([draft("a", "before")]);
  await server.kill();
  const start = performance.now();
  await Promise.all([
    assert.rejects(log.append([draft("a", "1")]), problem("commit_unknown")),
    assert.rejects(log.append([draft("a", "2")]), problem("storage_unavailable")),
    assert.rejects(other.append([draft("a", "3")]), problem("commit_unknown")),
    assert.rejects(log.head(A), problem("storage_unavailable")),
    assert.rejects(readRuns(log, A), problem("storage_unavailable")),
    assert.rejects(log.configure(A, {}), problem("storage_unavailable")),
  ]);
  const took = performance.now() - start;
  assert.ok(took < 15_000, `took ${took} ms`);
  await other.close();
  assert.ok(performance.now() - start < 30_000, "a log closes without its store");
  await server.start();
  const later = await store.isolate();
  await appendUntilStored(later);
  const { calls } = recorder;
  await later.append([draft("a", "rung")]);
  // The safety poll rings, or the watch delivers, whichever notices first that the store is back.
  await recorder.until(() => recorder.calls > calls);
  const data = (await readRuns(log, A)).flatMap(({ events }) => events).map(({ data }) => data);
  assert.equal(data[0], "before");
  assert.ok(!data.includes("2"), "an event that was refused is not stored");
  assert.ok(data.includes("rung"));
  assert.equal(new Set(data).size, data.length);
});

/** The client of KV Connect needs some time to notice that the server is back. */
async function appendUntilStored(log: Log): Promise<void> {
  for (let i = 0;; i++) {
    try {
      await log.append([draft("a", `after ${i}`)]);
      return;
    } catch (cause) {
      if (!(cause instanceof Problem) || i === 5) throw cause;
    }
  }
}
