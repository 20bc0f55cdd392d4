import assert from "node:assert/strict";
import fc from "fast-check";
import { newChannel, post, publish, publishNumbers } from "../support/publishing.ts";
import { LocalServer } from "../support/local_server.ts";
import { READERS, readUrl } from "../support/readers.ts";
import { SseClient } from "../support/sse_client.ts";
import { until } from "../support/until.ts";

Deno.test("a short poll answers 304 until something is new", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await publish(server.url, channel, 1);
  const url = readUrl(server.url, [channel]);
  const first = await fetch(url);
  const etag = first.headers.get("etag") ?? "";
  const { events, cursor, upToDate } = await first.json();
  assert.equal(events.length, 1);
  assert.equal(upToDate, true);
  assert.equal(first.headers.get("weir-cursor"), cursor);
  for (const known of [etag, `W/${etag}`, `"x", ${etag}`]) {
    const same = await fetch(url, { headers: { "If-None-Match": known } });
    assert.equal(same.status, 304);
    assert.equal(same.headers.get("etag"), etag);
    assert.equal(same.headers.get("weir-cursor"), cursor);
    await same.body?.cancel();
  }
  await publish(server.url, channel, 2);
  const next = await fetch(url, { headers: { "If-None-Match": etag } });
  assert.equal(next.status, 200);
  assert.notEqual(next.headers.get("etag"), etag);
  await next.body?.cancel();
});

Deno.test("consecutive pages make up the whole log", async () => {
  await using server = await LocalServer.start();
  const channels = [newChannel(), newChannel()].sort();
  for (const channel of channels) await publishNumbers(server.url, channel, 7);
  const seen: unknown[] = [];
  for (let after = "earliest", isEnd = false; !isEnd;) {
    const response = await fetch(readUrl(server.url, channels, { after, limit: "3" }));
    const { events, cursor, upToDate } = await response.json();
    assert.ok(events.length <= 3);
    seen.push(
      ...events.map(({ channel, data }: { channel: string; data: number }) => `${channel} ${data}`),
    );
    after = cursor;
    isEnd = upToDate;
  }
  const all = channels.flatMap((channel) => [1, 2, 3, 4, 5, 6, 7].map((i) => `${channel} ${i}`));
  assert.deepEqual(seen.toSorted(), all);
});

Deno.test("pages before a position lead back to the first event, and forward from their cursor", async () => {
  await using server = await LocalServer.start();
  const [channel, other] = [newChannel(), newChannel()];
  const acks = await publishNumbers(server.url, channel, 7);
  await publishNumbers(server.url, other, 3);
  const read = async (query: Record<string, string>) => {
    const response = await fetch(readUrl(server.url, [channel], query));
    const page = await response.json();
    assert.equal(response.status, 200, JSON.stringify(page));
    assert.equal(response.headers.get("weir-cursor"), page.cursor);
    return { ...page, data: page.events.map(({ data }: { data: unknown }) => data) };
  };
  const seen: unknown[] = [];
  for (let before: string | null = "latest"; before !== null;) {
    const page = await read({ before, limit: "3" });
    assert.deepEqual(Object.keys(page), ["events", "cursor", "before", "data"]);
    seen.push(page.data);
    const { events: [next] } = await read({ after: page.cursor, limit: "1" });
    assert.equal(next?.offset, before === "latest" ? undefined : before);
    before = page.before;
  }
  assert.deepEqual(seen, [[5, 6, 7], [2, 3, 4], [1]]);
  const page = await read({ before: acks[4]?.offset ?? "" });
  assert.deepEqual([page.data, page.before], [[1, 2, 3, 4], null]);
  assert.deepEqual(page.events[0].offset, acks[0]?.offset);
  assert.deepEqual((await read({ before: "earliest" })).data, []);

  const url = readUrl(server.url, [channel], { before: "latest" });
  const first = await fetch(url);
  await first.body?.cancel();
  const headers = { "If-None-Match": first.headers.get("etag") ?? "" };
  const same = await fetch(url, { headers });
  assert.deepEqual([same.status, await same.text()], [304, ""]);
});

Deno.test("a long poll tells its heartbeat, with events and without", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await publish(server.url, channel, 1);
  const heartbeatMs = String(server.server.config.heartbeatMs);
  for (const [after, status] of [["earliest", 200], ["latest", 204]] as const) {
    const response = await fetch(readUrl(server.url, [channel], { after, wait: "1" }));
    await response.body?.cancel();
    assert.equal(response.status, status);
    assert.equal(response.headers.get("weir-heartbeat"), heartbeatMs);
  }
});

Deno.test("a long poll without events answers 204 with its cursor", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const { offset } = await publish(server.url, channel, 1);
  const response = await fetch(readUrl(server.url, [channel], { wait: "1" }));
  assert.equal(response.status, 204);
  assert.equal(response.headers.get("weir-cursor"), offset);
  assert.equal(await response.text(), "");
});

Deno.test("a long poll whose client has gone leaves no subscription", async () => {
  await using server = await LocalServer.start();
  const abort = new AbortController();
  const poll = fetch(readUrl(server.url, [newChannel()], { wait: "60" }), { signal: abort.signal });
  await until("the poll waits", () => server.server.hub.size === 1);
  abort.abort();
  await assert.rejects(poll);
});

Deno.test("HEAD answers like GET without a body, and ends", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const { offset } = await publish(server.url, channel, 1);
  const url = readUrl(server.url, [channel]);
  const page = await fetch(url, { method: "HEAD" });
  assert.equal(page.status, 200);
  assert.equal(page.headers.get("weir-cursor"), offset);
  assert.equal(await page.text(), "");
  const stream = await fetch(url, { method: "HEAD", headers: { Accept: "text/event-stream" } });
  assert.equal(stream.headers.get("content-type"), "text/event-stream");
  assert.equal(await stream.text(), "");
  assert.equal(server.server.hub.size, 0);
});

Deno.test("a stream forbids caching and buffering", async () => {
  await using server = await LocalServer.start();
  await using client = await SseClient.open(readUrl(server.url, [newChannel()]));
  const { headers } = client.response;
  assert.equal(headers.get("content-type"), "text/event-stream");
  assert.equal(headers.get("cache-control"), "no-store");
  assert.equal(headers.get("x-accel-buffering"), "no");
  assert.equal(headers.get("incremental"), "?1"); // RFC 10036
  assert.equal(client.retry, 1_000);
});

Deno.test("SSE sends the data as published, or an envelope on request", async () => {
  await using server = await LocalServer.start();
  const [channel, other] = [newChannel(), newChannel()];
  await post(server.url, channel, "plain", { "Content-Type": "text/plain", "Weir-Type": "note" })
    .then((response) => response.body?.cancel());
  const open = (channels: readonly string[], envelope?: string) =>
    SseClient.open(readUrl(server.url, channels, { after: "earliest", envelope }));
  for (const [channels, envelope] of [[[channel], undefined], [[channel, other], "0"]] as const) {
    await using client = await open(channels, envelope);
    const { event, data } = await client.next();
    assert.deepEqual({ event, data }, { event: "note", data: "plain" });
  }
  for (const [channels, envelope] of [[[channel], "1"], [[channel, other], undefined]] as const) {
    await using client = await open(channels, envelope);
    const { event, data } = await client.next();
    assert.equal(event, "note");
    assert.equal(JSON.parse(data).data, "plain");
    assert.equal(JSON.parse(data).channel, channel);
  }
});

const awkward = fc.string({
  unit: fc.oneof(
    fc.constantFrom("\r", "\n", "\0", "\r\n", "\n\n", "data: x\n", "id: 1\n", "event: e\n", ":"),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 3 }),
  ),
  maxLength: 12,
});

Deno.test("data cannot forge SSE fields or events", async () => {
  await using server = await LocalServer.start();
  await fc.assert(
    fc.asyncProperty(fc.array(awkward, { minLength: 1, maxLength: 8 }), async (texts) => {
      const channel = newChannel();
      const offsets: string[] = [];
      for (const text of texts) {
        const response = await post(server.url, channel, text, { "Content-Type": "text/plain" });
        offsets.push((await response.json()).offset);
      }
      await using client = await SseClient.open(
        readUrl(server.url, [channel], { after: "earliest" }),
      );
      for (const [i, text] of texts.entries()) {
        const { id, event, data } = await client.next();
        assert.equal(id, offsets[i]);
        assert.equal(event, undefined);
        assert.equal(data, text.replace(/\r\n|\r/g, "\n"));
      }
    }),
    { numRuns: 60 },
  );
});

for (const [transport, open] of Object.entries(READERS)) {
  Deno.test(`${transport} reports expired events as a gap and continues`, async () => {
    await using server = await LocalServer.start();
    const channel = newChannel();
    const acks = await publishNumbers(server.url, channel, 10);
    const put = await fetch(`${server.url}/v1/channels/${channel}`, {
      method: "PUT",
      body: `{"retention":{"events":4}}`,
    });
    assert.equal((await put.json()).retention.events, 4);
    await server.server.log.retain();
    await using reader = await open(server.url, [channel], acks[1]?.offset);
    const { gap } = await reader.next();
    assert.deepEqual(gap, {
      channel,
      reason: "expired",
      requested: acks[1]?.offset,
      firstAvailable: acks[6]?.offset,
      lost: 4,
    });
    for (const data of [7, 8, 9, 10]) assert.equal((await reader.next()).event?.data, data);
  });
}

Deno.test("pages of loopback origins may read and get CORS headers", async () => {
  await using server = await LocalServer.start({ WEIR_ORIGINS: "https://app.example.com" });
  const url = readUrl(server.url, [newChannel()]);
  for (const origin of ["http://localhost:5173", "https://127.0.0.1", "https://app.example.com"]) {
    const read = await fetch(url, { headers: { Origin: origin } });
    await read.body?.cancel();
    assert.equal(read.status, 200);
    assert.equal(read.headers.get("access-control-allow-origin"), origin);
    assert.match(read.headers.get("access-control-expose-headers") ?? "", /Weir-Cursor/);
    assert.match(read.headers.get("vary") ?? "", /Origin/);
    const asked = await fetch(url, { method: "OPTIONS", headers: { Origin: origin } });
    assert.equal(asked.status, 204);
    assert.match(asked.headers.get("access-control-allow-headers") ?? "", /Idempotency-Key/);
    assert.match(asked.headers.get("access-control-allow-methods") ?? "", /POST/);
  }
});
