import assert from "node:assert/strict";
import { Denokv, DENOKV_MISSING } from "../support/denokv.ts";
import { newChannel, post, publish, publishNumbers } from "../support/publishing.ts";
import { readAll, READERS, readUrl, takeEvents } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { until } from "../support/until.ts";

Deno.test("streams stay open while the store is unreachable, and continue afterwards", {
  ignore: DENOKV_MISSING,
}, async () => {
  await using denokv = await Denokv.start();
  const env = { WEIR_KV: denokv.url };
  await using publisher = await WeirServer.start({ env });
  await using reader = await WeirServer.start({ env });
  const channel = newChannel();
  await publishNumbers(publisher.url, channel, 3);
  await using sse = await READERS["SSE"]!(reader.url, [channel], "earliest"); // it is connected
  await using socket = await READERS["WebSocket"]!(publisher.url, [channel], "earliest"); // also connected
  for (const each of [sse, socket]) await takeEvents(each, 3);

  await denokv.kill();
  const away = await Promise.all([1, 2, 3].map(() => post(publisher.url, channel, `"away"`)));
  for (const response of away) {
    const { code } = await response.json();
    assert.equal(response.status, 503);
    assert.ok(Number(response.headers.get("retry-after")) >= 1);
    assert.ok(["storage_unavailable", "commit_unknown"].includes(code), code);
  }
  const read = await fetch(readUrl(reader.url, [channel]));
  assert.equal(read.status, 503);
  assert.equal((await read.json()).code, "storage_unavailable");
  const ready = await fetch(`${reader.url}/readyz`);
  assert.equal(ready.status, 503);
  await ready.body?.cancel();
  const health = await fetch(`${reader.url}/healthz`);
  assert.equal(health.status, 200);
  await health.body?.cancel();

  await denokv.start();
  // The client of KV Connect waits for a while before it retries.
  for (const { url } of [publisher, reader]) {
    await until("the server is ready", async () => await readiness(url) === 200);
  }
  await publish(publisher.url, channel, 4);
  await publish(reader.url, channel, 5);
  // Events with a commit_unknown answer may or may not be stored, but each at most once.
  const stored = await readAll(reader.url, channel);
  assert.ok(stored.filter(({ data }) => data === "away").length <= away.length);
  const expected = stored.map(({ offset }) => offset);
  assert.deepEqual(
    stored.map(({ data }) => data).filter((data) => data !== "away"),
    [1, 2, 3, 4, 5],
  );
  for (const each of [sse, socket]) {
    const events = await takeEvents(each, expected.length - 3);
    assert.deepEqual(events.map(({ offset }) => offset), expected.slice(3));
  }
});

async function readiness(url: string): Promise<number> {
  const response = await fetch(`${url}/readyz`);
  await response.body?.cancel();
  return response.status;
}
