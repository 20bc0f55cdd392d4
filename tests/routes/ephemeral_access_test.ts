import assert from "node:assert/strict";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { LISTENERS, nextEphemeral } from "../support/listeners.ts";
import { LocalServer } from "../support/local_server.ts";
import { publishEphemeral, publishUntilDelivered } from "../support/ephemeral_events.ts";
import { newChannel, publish } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";

const ALL = { publish: ["**"], subscribe: ["**"] };
const JSON_BODY = { "Content-Type": "application/json" };
const EPHEMERAL = { ...JSON_BODY, "Weir-Ephemeral": "1" };

Deno.test("an ephemeral event needs the right to publish, however it is published", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ publish: ["mine"], subscribe: ["**"] });
  const headers = { ...bearer(token), ...EPHEMERAL };
  const single = (channel: string) => ({
    method: "POST",
    headers: { ...bearer(token), ...JSON_BODY },
    body: JSON.stringify({ channel, data: 1, ephemeral: true }),
  });
  const body = { method: "POST", headers, body: "1" };
  assert.equal((await call(weir.url, "/v1/channels/mine/events", body)).status, 202);
  assert.equal((await call(weir.url, "/v1/events", single("mine"))).status, 202);
  assertRefused(await call(weir.url, "/v1/channels/other/events", body), 403, "forbidden");
  assertRefused(await call(weir.url, "/v1/events", single("other")), 403, "forbidden");
  await using socket = await SocketClient.open(weir.url, { token });
  for (const [ref, channel] of [[1, "mine"], [2, "other"]] as const) {
    socket.send({ op: "publish", ref, channel, data: 1, ephemeral: true });
  }
  assert.deepEqual(await socket.next(), { op: "ack", ref: 1, ephemeral: true });
  const { op, ref, code } = await socket.next();
  assert.deepEqual([op, ref, code], ["error", 2, "forbidden"]);
});

Deno.test("an ephemeral event counts as a publish", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ ...ALL, limits: { publishes: 0 } });
  const headers = { ...bearer(token), ...EPHEMERAL };
  const body = { method: "POST", headers, body: "1" };
  assertRefused(await call(weir.url, "/v1/channels/a/events", body), 429, "rate_limited");
  await using socket = await SocketClient.open(weir.url, { token });
  socket.send({ op: "publish", ref: 1, channel: "a", data: 1, ephemeral: true });
  assert.equal((await socket.next())["code"], "rate_limited");
});

for (const [transport, open] of Object.entries(LISTENERS)) {
  Deno.test(`${transport} delivers no ephemeral event of another tenant`, async () => {
    await using weir = await guardedLocal();
    const [ours, theirs] = await Promise.all(
      ["ours", "theirs"].map((tenant) => weir.token({ ...ALL, tenant })),
    ) as [string, string];
    await using listener = await open(weir.url, ["a"], bearer(ours));
    await using other = await LISTENERS["SSE"]?.(weir.url, ["a"], bearer(theirs)) ?? assert.fail();
    await publishUntilDelivered(weir.url, "a", "theirs", [other], bearer(theirs));
    let isHeard = false;
    const heard = nextEphemeral(listener).finally(() => isHeard = true);
    while (!isHeard) await publishEphemeral(weir.url, "a", "ours", bearer(ours));
    assert.equal((await heard).data, "ours");
  });
}

Deno.test("a subscriber with a revoked credential receives no more ephemeral events", async () => {
  await using weir = await guardedLocal();
  const [ann, bob] = [await weir.token(ALL), await weir.token(ALL, { sub: "bob" })];
  const admin = await weir.token({ admin: true }, { sub: "root" });
  const channel = newChannel();
  await using stream = await SseClient.open(readUrl(weir.url, [channel]), bearer(ann));
  await using socket = await SocketClient.open(weir.url, { token: ann });
  socket.send({ op: "subscribe", ref: 1, channel });
  await socket.until("subscribed");
  await using witness = await LISTENERS["SSE"]?.(weir.url, [channel], bearer(bob)) ?? assert.fail();
  const revoked = await call(weir.url, "/v1/revocations", {
    method: "POST",
    headers: { ...bearer(admin), ...JSON_BODY },
    body: JSON.stringify({ sub: "ann" }),
  });
  assert.equal(revoked.status, 201, revoked.text);
  await publishUntilDelivered(weir.url, channel, "secret", [witness], bearer(bob));
  assert.equal((await stream.next()).event, "weir.goodbye");
  await stream.ended();
  await assert.rejects(stream.next());
  assert.equal((await socket.next()).op, "goodbye");
  assert.equal((await socket.closed).code, 4401);
  await assert.rejects(socket.next());
});

Deno.test("a subscriber that loses the right to a channel receives no more of its ephemeral events", async () => {
  await using weir = await guardedLocal();
  const [kept, lost] = [`kept:${crypto.randomUUID()}`, `lost:${crypto.randomUUID()}`];
  const token = await weir.token(ALL);
  await using socket = await SocketClient.open(weir.url, { token });
  for (const channel of [lost, kept]) {
    socket.send({ op: "subscribe", ref: 1, channel });
    await socket.until("subscribed");
  }
  socket.send({ op: "auth", token: await weir.token({ subscribe: ["kept:*"] }) });
  await socket.until("unsubscribed");
  for (const channel of [lost, kept]) {
    await publishEphemeral(weir.url, channel, channel, bearer(token));
  }
  assert.equal((await socket.until("ephemeral"))["data"], kept);
});

Deno.test("a socket receives its own ephemeral events", async () => {
  await using server = await LocalServer.start();
  await using socket = await SocketClient.open(server.url);
  socket.send({ op: "subscribe", ref: 1, channel: "a" });
  await socket.until("subscribed");
  socket.send({ op: "publish", ref: 2, channel: "a", data: "x", type: "y", ephemeral: true });
  assert.deepEqual(await socket.next(), { op: "ack", ref: 2, ephemeral: true });
  const { time: _, ...message } = await socket.next();
  assert.deepEqual(message, {
    op: "ephemeral",
    channel: "a",
    type: "y",
    contentType: "application/json",
    data: "x",
  });
});

Deno.test("a publish with ephemeral: false is stored", async () => {
  await using server = await LocalServer.start();
  const event = { channel: "a", data: 1, ephemeral: false };
  for (const body of [event, { events: [event] }]) {
    const init = { method: "POST", headers: JSON_BODY, body: JSON.stringify(body) };
    assert.equal((await call(server.url, "/v1/events", init)).status, 201);
  }
});

Deno.test("an ephemeral event with an id, a key, a TTL or binary data is refused", async () => {
  await using server = await LocalServer.start();
  const post = (headers: Record<string, string>, body: string) =>
    call(server.url, "/v1/channels/a/events", {
      method: "POST",
      headers: { ...EPHEMERAL, ...headers },
      body,
    });
  const json = (body: unknown) =>
    call(server.url, "/v1/events", {
      method: "POST",
      headers: JSON_BODY,
      body: JSON.stringify(body),
    });
  const event = { channel: "a", data: 1, ephemeral: true };
  for (const [name, value] of [["Idempotency-Key", "x"], ["Weir-Key", "x"], ["Weir-TTL", "1"]]) {
    assertRefused(await post({ [name ?? ""]: value ?? "" }, "1"), 400, "bad_parameter");
  }
  for (const members of [{ id: "x" }, { key: "x" }, { ttl: 1 }]) {
    assertRefused(await json({ ...event, ...members }), 400, "bad_parameter");
  }
  assertRefused(await post({ "Weir-Ephemeral": "true" }, "1"), 400, "bad_parameter");
  assertRefused(await json({ ...event, ephemeral: 1 }), 400, "bad_body");
  const listed = await json({ events: [{ channel: "a", data: 1 }, event] });
  assertRefused(listed, 400, "bad_body");
  assert.equal(listed.json.index, 1);
  assertRefused(await json({ ...event, channel: "$audit" }), 400, "channel_reserved");
  assertRefused(await post({ "Content-Type": "image/png" }, "1"), 415, "bad_content_type");
  assertRefused(await post({ "Weir-Type": "weir.x" }, "1"), 400, "bad_event_type");
  assertRefused(await post({}, "{"), 400, "bad_json");
  const most = "x".repeat(16_382);
  assert.equal((await post({}, JSON.stringify(most))).status, 202);
  assertRefused(await post({}, JSON.stringify(`${most}x`)), 413, "event_too_large");
  assert.equal((await json({ ...event, data: most })).status, 202);
  assertRefused(await json({ ...event, data: `${most}x` }), 413, "event_too_large");
  assertRefused(await json({ ...event, data: "é".repeat(8_192) }), 413, "event_too_large");
  const chunked = await call(server.url, "/v1/channels/a/events", {
    method: "POST",
    headers: EPHEMERAL,
    body: new Blob([JSON.stringify(`${most}x`)]).stream(),
  });
  assertRefused(chunked, 413, "event_too_large");
  const { json: { channels } } = await call(server.url, "/v1/channels");
  assert.deepEqual(channels, []);
});

Deno.test("an invalid ephemeral message is refused, and the socket stays open", async () => {
  await using server = await LocalServer.start();
  await using socket = await SocketClient.open(server.url);
  const event = { op: "publish", channel: "a", data: 1, ephemeral: true } as const;
  const refused: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ id: "x" }, "bad_message"],
    [{ key: "x" }, "bad_message"],
    [{ ttl: 1 }, "bad_message"],
    [{ ephemeral: "yes" }, "bad_message"],
    [{ channel: "$audit" }, "channel_reserved"],
    [{ data: "x".repeat(16_383) }, "event_too_large"],
  ];
  for (const [i, [members, code]] of refused.entries()) {
    socket.send({ ...event, ref: i, ...members });
    const { detail: _, ...answer } = await socket.next();
    assert.deepEqual(answer, { op: "error", ref: i, code });
  }
  socket.send({ ...event, ref: "last" });
  assert.deepEqual(await socket.next(), { op: "ack", ref: "last", ephemeral: true });
});

Deno.test("a browser of an allowed origin may send the header, and read the heartbeat", async () => {
  await using server = await LocalServer.start({ WEIR_HEARTBEAT: "7s" });
  const origin = { Origin: "http://localhost:3000" };
  const preflight = await fetch(`${server.url}/v1/channels/a/events`, {
    method: "OPTIONS",
    headers: { ...origin, "Access-Control-Request-Headers": "weir-ephemeral" },
  });
  assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /\bWeir-Ephemeral\b/);
  await using stream = await SseClient.open(readUrl(server.url, ["a"]), origin);
  const { headers } = stream.response;
  assert.equal(headers.get("weir-heartbeat"), "7000");
  assert.match(headers.get("access-control-expose-headers") ?? "", /\bWeir-Heartbeat\b/);
  await publish(server.url, "a", 1);
  assert.equal((await stream.next()).data, "1");
});
