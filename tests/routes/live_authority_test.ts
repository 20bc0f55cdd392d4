import assert from "node:assert/strict";
import { bearer, endingIn, guardedLocal } from "../support/guarded.ts";
import { MESSAGE_CLIENTS } from "../support/message_clients.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { SseClient } from "../support/sse_client.ts";

/** Rights to all channels except system channels. */
const ALL = { publish: ["**"], subscribe: ["**"] };

Deno.test("an SSE stream gets a warning before its token expires, and ends with it", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL, endingIn(3));
  await using stream = await SseClient.open(readUrl(weir.url, [newChannel()]), bearer(token));
  const warning = await stream.next();
  assert.equal(warning.event, "weir.token");
  const { stream: id, expiresIn } = JSON.parse(warning.data);
  assert.equal(id, stream.response.headers.get("weir-stream"));
  assert.ok(expiresIn > 0 && expiresIn <= 1_500, `${expiresIn}`);
  const goodbye = await stream.next();
  assert.equal(goodbye.event, "weir.goodbye");
  assert.equal(JSON.parse(goodbye.data).reason, "expired");
  await stream.ended();
  assert.equal(weir.server.server.access.connections.size, 0);
});

Deno.test("a stream that gets a new token in time outlives the old one", async () => {
  await using weir = await guardedLocal();
  const channel = newChannel();
  const token = await weir.token(ALL, endingIn(2));
  await using stream = await SseClient.open(readUrl(weir.url, [channel]), bearer(token));
  assert.equal((await stream.next()).event, "weir.token");
  const next = await weir.token(ALL, endingIn(4));
  const answer = await swap(weir.url, stream, next);
  assert.equal(answer.status, 204);
  // The next warning comes halfway through the life of the new token, after the old one has expired.
  assert.equal((await stream.next()).event, "weir.token");
  await publish(weir.url, channel, 1, bearer(await weir.token()));
  assert.equal((await stream.next()).data, "1");
});

Deno.test("a narrower token ends only the channels that it lost, with the reason", async () => {
  await using weir = await guardedLocal();
  const [kept, lost] = [`kept:${crypto.randomUUID()}`, `lost:${crypto.randomUUID()}`];
  const token = await weir.token(ALL);
  await using stream = await SseClient.open(readUrl(weir.url, [kept, lost]), bearer(token));
  await swap(weir.url, stream, await weir.token({ subscribe: ["kept:*"] }));
  const { event, data } = await stream.next();
  assert.equal(event, "weir.unsubscribed");
  assert.deepEqual(JSON.parse(data), { channel: lost, reason: "forbidden" });
  await publish(weir.url, lost, "secret", bearer(token));
  await publish(weir.url, kept, "plain", bearer(token));
  assert.equal(JSON.parse((await stream.next()).data).data, "plain");
  await swap(weir.url, stream, await weir.token({ subscribe: [] }));
  assert.equal((await stream.next()).event, "weir.unsubscribed");
  assert.equal(JSON.parse((await stream.next()).data).reason, "forbidden");
  await stream.ended();
});

Deno.test("another user's token cannot take over a stream", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL);
  await using stream = await SseClient.open(readUrl(weir.url, [newChannel()]), bearer(token));
  const bob = await weir.token(ALL, { sub: "bob" });
  const other = await weir.token({ ...ALL, tenant: "other" });
  for (const stranger of [bob, other]) {
    const answer = await swap(weir.url, stream, stranger);
    assert.equal(answer.status, 403);
    assert.equal(JSON.parse(answer.body).code, "forbidden");
  }
});

for (const [what, open] of Object.entries(MESSAGE_CLIENTS)) {
  Deno.test(`a ${what} authenticates in its first message, and later messages wait for it`, async () => {
    await using weir = await guardedLocal();
    const channel = newChannel();
    await using socket = await open(weir.url);
    const token = await weir.token(ALL, endingIn(60));
    socket.send(
      { op: "auth", ref: 1, token },
      { op: "subscribe", ref: 2, channel },
      { op: "publish", ref: 3, channel, data: 1 },
    );
    const { ref, expiresIn } = await socket.until("authenticated");
    assert.equal(ref, 1);
    assert.ok(Number(expiresIn) > 55_000 && Number(expiresIn) <= 60_000);
    assert.equal((await socket.until("subscribed"))["ref"], 2);
  });

  Deno.test(`a ${what} that has not authenticated may do nothing`, async () => {
    await using weir = await guardedLocal();
    await using socket = await open(weir.url);
    socket.send({ op: "subscribe", ref: 1, channel: "a" }, {
      op: "publish",
      ref: 2,
      channel: "a",
      data: 1,
    });
    for (const ref of [1, 2]) {
      const { code, ...message } = await socket.next();
      assert.deepEqual([message.op, message["ref"], code], ["error", ref, "unauthenticated"]);
    }
  });

  Deno.test(`a ${what} that never authenticates is closed with 4401 after 5 s`, async () => {
    await using weir = await guardedLocal();
    const start = performance.now();
    await using socket = await open(weir.url);
    socket.send({ op: "ping" }); // does not authenticate
    assert.equal((await socket.until("goodbye"))["reason"], "unauthenticated");
    await socket.closedWith(4401);
    assert.ok(performance.now() - start > 4_900);
  });

  Deno.test(`a ${what} whose first credential is refused is closed with 4401`, async () => {
    await using weir = await guardedLocal();
    await using socket = await open(weir.url);
    socket.send({ op: "auth", ref: 1, token: "no.such.token" });
    assert.equal((await socket.next())["code"], "token_invalid");
    assert.equal((await socket.until("goodbye"))["reason"], "unauthenticated");
    await socket.closedWith(4401);
  });

  Deno.test(`a refused second credential does not change the ${what}`, async () => {
    await using weir = await guardedLocal();
    const channel = newChannel();
    await using socket = await open(weir.url, { token: await weir.token(ALL) });
    const stranger = await weir.token(ALL, { sub: "bob" });
    socket.send({ op: "auth", ref: 1, token: stranger });
    assert.equal((await socket.next())["code"], "forbidden");
    socket.send({ op: "subscribe", ref: 2, channel });
    await socket.until("subscribed");
  });

  Deno.test(`a ${what}'s rights change with its token`, async () => {
    await using weir = await guardedLocal();
    const [a, b] = [`a:${crypto.randomUUID()}`, `b:${crypto.randomUUID()}`];
    await using socket = await open(weir.url, {
      token: await weir.token({ subscribe: ["a:*"] }),
    });
    socket.send({ op: "subscribe", ref: 1, channel: a }, { op: "subscribe", ref: 2, channel: b });
    assert.equal((await socket.next())["code"], "forbidden");
    await socket.until("subscribed");
    socket.send(
      { op: "auth", token: await weir.token({ subscribe: ["a:*", "b:*"] }) },
      { op: "subscribe", ref: 3, channel: b },
    );
    assert.equal((await socket.until("subscribed"))["ref"], 3);
    socket.send({ op: "auth", token: await weir.token({ subscribe: ["b:*"] }) });
    const { channel, reason } = await socket.until("unsubscribed");
    assert.deepEqual({ channel, reason }, { channel: a, reason: "forbidden" });
    const publisher = bearer(await weir.token(ALL));
    await publish(weir.url, a, "secret", publisher);
    await publish(weir.url, b, "plain", publisher);
    assert.equal((await socket.until("event"))["data"], "plain");
  });

  Deno.test(`a ${what} gets a warning before its token expires, and closes with 4401`, async () => {
    await using weir = await guardedLocal();
    await using socket = await open(weir.url, {
      token: await weir.token(ALL, endingIn(2)),
    });
    assert.ok(Number((await socket.until("token"))["expiresIn"]) <= 1_000);
    assert.equal((await socket.until("goodbye"))["reason"], "expired");
    await socket.closedWith(4401);
  });
}

Deno.test("a long poll ends when its token expires", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token(ALL, endingIn(2));
  const url = readUrl(weir.url, [newChannel()], { wait: "60" });
  const answer = await fetch(url, { headers: bearer(token) });
  assert.equal(answer.status, 401);
  assert.equal((await answer.json()).code, "token_expired");
});

// The stream's timer for the goodbye keeps running: it is unref'd and does nothing.
Deno.test("rights lost during a replay end it", {
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  const limits = ["credential", "address", "tenant"].map((scope) => `${scope}.bytes=1GiB`);
  await using weir = await guardedLocal({ WEIR_LIMITS: limits.join(" ") });
  const channel = newChannel();
  const token = await weir.token(ALL);
  // More than all buffers hold, so that the replay waits for its reader.
  const body = "x".repeat(1_000_000);
  for (let i = 0; i < 30; i++) await publish(weir.url, channel, body, bearer(token));
  const response = await fetch(readUrl(weir.url, [channel], { after: "earliest" }), {
    headers: { Accept: "text/event-stream", ...bearer(token) },
  });
  const id = response.headers.get("weir-stream") ?? "";
  const answer = await fetch(`${weir.url}/v1/streams/${id}/token`, {
    method: "POST",
    headers: bearer(await weir.token({ subscribe: [] })),
  });
  assert.equal(answer.status, 204);
  const text = await response.text();
  assert.match(text, /event: weir\.goodbye\ndata: \{"retry":\d+,"reason":"forbidden"\}\n\n$/);
  const events = text.split("\n").filter((line) => line.startsWith('data: "x')).length;
  assert.ok(events < 30, `${events} events`);
});

async function swap(url: string, stream: SseClient, token: string) {
  const id = stream.response.headers.get("weir-stream") ?? "";
  const answer = await fetch(`${url}/v1/streams/${id}/token`, {
    method: "POST",
    headers: bearer(token),
  });
  return { status: answer.status, body: await answer.text() };
}
