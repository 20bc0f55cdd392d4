import assert from "node:assert/strict";
import { FIGURES_CHANNEL_KEY } from "../../lib/shared/channel.ts";
import type { Sample } from "../../lib/shared/figures.ts";
import { quantiles } from "../../lib/shared/histogram.ts";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";
import { newChannel, publish, publishNumbers } from "../support/publishing.ts";
import { RawWebTransport } from "../support/raw_webtransport.ts";
import { READERS, readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { SocketClient } from "../support/socket_client.ts";
import { SseClient } from "../support/sse_client.ts";
import { until } from "../support/until.ts";

const FIGURES = "$figures";
const FIGURES_PATH = `/v1/channels/${FIGURES}`;
const SYSTEM = { publish: ["$**", "**"], subscribe: ["$**", "**"], manage: ["$**", "**"] };

/** Takes the samples of a stream from its next event until their sum is enough. */
async function samplesUntil(
  stream: SseClient,
  isEnough: (samples: readonly Sample[]) => boolean,
): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  while (!isEnough(samples)) {
    const { event, data } = await stream.next();
    assert.equal(event, "figures");
    samples.push(JSON.parse(data));
  }
  return samples;
}

function sum(samples: readonly Sample[], read: (sample: Sample) => number): number {
  return samples.reduce((total, sample) => total + read(sample), 0);
}

for (const [name, open] of Object.entries(READERS)) {
  Deno.test(`figures are published while they are read over ${name}`, async () => {
    await using server = await LocalServer.start();
    await using reader = await open(server.url, [FIGURES], "earliest");
    const { event } = await reader.next();
    assert.equal(event?.type, "figures");
    const { isolate, at, seconds, started } = event?.data as Sample;
    assert.match(isolate, /^[0-9a-f]{8}$/);
    assert.ok(Date.parse(at) >= Date.parse(started));
    assert.ok(seconds > 0.5);
  });
}

Deno.test("figures count connections, publishes, deliveries and durations", async () => {
  await using server = await LocalServer.start();
  const { url } = server;
  const channel = newChannel();
  await using figures = await SseClient.open(readUrl(url, [FIGURES]));
  await using _stream = await SseClient.open(readUrl(url, [channel]));
  await using socket = await SocketClient.open(url);
  socket.send({ op: "subscribe", ref: 1, channel });
  await socket.until("subscribed");
  await server.serveWebTransport();
  using webTransport = await RawWebTransport.open(server.webTransport);
  assert.equal(webTransport.status, 200);
  const poll = call(url, readUrl("", [newChannel()], { wait: "60" }));
  const { meter: { open }, hub } = server.server;
  await until("the poll waits", () => open.longPoll === 1);
  // Events published earlier would count as caught up.
  await until("all are live", () => hub.subscriptions.live === 4);
  await publishNumbers(url, channel, 10);
  socket.send({ op: "publish", ref: 2, channel: "$no", data: 1 });
  await socket.until("error");
  const refused = await call(url, "/v1/channels/a/events", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "{",
  });
  assertRefused(refused, 400, "bad_json");
  await call(url, readUrl("", [channel], { after: "earliest" })); // short polls don't count
  const samples = await samplesUntil(
    figures,
    (samples) =>
      sum(samples, ({ publishes }) => publishes.refused) >= 2 &&
      sum(samples, ({ deliveries }) => deliveries.live) >= 20,
  );
  const last = samples.at(-1) ?? assert.fail();
  assert.deepEqual(last.connections, { sse: 2, websocket: 1, webtransport: 1, longPoll: 1 });
  assert.deepEqual(last.subscriptions, { live: 4, catchingUp: 0, lag: 0 });
  assert.equal(sum(samples, ({ publishes }) => publishes.accepted), 10);
  assert.equal(sum(samples, ({ publishes }) => publishes.refused), 2);
  assert.equal(sum(samples, ({ events }) => events), 10);
  assert.equal(sum(samples, ({ deliveries }) => deliveries.live), 20);
  const published = samples.flatMap(({ durations }) => durations.publish);
  const [p50 = 0] = quantiles(published, [0.5]);
  assert.ok(p50 > 0.01, `${p50} ms`);
  assert.ok(samples.some(({ durations }) => durations.commit.length > 0));
  assert.ok(samples.some(({ durations }) => durations.delivery.length > 0));
  assert.ok(samples.some(({ durations }) => durations.eventLoop.length > 0));
  await server.server.disconnectClients();
  assert.equal((await poll).status, 204);
  await until("all have gone", () => open.sse === 0 && open.longPoll === 0);
});

Deno.test("an event for a reconnected subscriber counts as caught up", async () => {
  await using server = await LocalServer.start();
  const { url } = server;
  const channel = newChannel();
  await publishNumbers(url, channel, 25);
  await using figures = await SseClient.open(readUrl(url, [FIGURES]));
  await using _stream = await SseClient.open(readUrl(url, [channel], { after: "earliest" }));
  const samples = await samplesUntil(
    figures,
    (samples) => sum(samples, ({ deliveries }) => deliveries.caughtUp) >= 25,
  );
  assert.equal(sum(samples, ({ deliveries }) => deliveries.caughtUp), 25);
  const { hub } = server.server;
  await until("both are live", () => hub.subscriptions.live === 2);
  assert.deepEqual(hub.subscriptions, { live: 2, catchingUp: 0, lag: 0 });
});

Deno.test("no figures are written while nobody reads them, even if other channels are read", async () => {
  await using local = await LocalServer.start();
  const { url, server } = local;
  const channel = newChannel();
  await publish(url, channel, 1);
  await call(url, readUrl("", [channel]));
  await call(url, FIGURES_PATH); // reading the channel's settings is not reading figures
  await using stream = await SseClient.open(readUrl(url, [channel]));
  for (let i = 0; i < 3; i++) {
    const { taken } = server.figures;
    await until("a second has passed", () => server.figures.taken > taken);
    await publish(url, channel, i);
    await stream.next();
  }
  assert.equal(await server.log.head(FIGURES_CHANNEL_KEY), undefined);
});

Deno.test("reading figures needs a pattern with a $ in the tenant default", async () => {
  await using weir = await guardedLocal();
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, number])[] = [
    [{ subscribe: ["$figures"] }, 200],
    [{ subscribe: ["$**"] }, 200],
    [{ tenant: "default", ...SYSTEM }, 200],
    [{ subscribe: ["**", "*", "*figures", "figures"] }, 403],
    [{ subscribe: ["$audit"] }, 403],
    [{ presence: ["$**"], publish: ["$**"] }, 403],
    [{ tenant: "acme", ...SYSTEM }, 403],
    [{ tenant: "acme", subscribe: ["$figures"], admin: true }, 403],
  ];
  for (const [rights, status] of cases) {
    const token = await weir.token(rights);
    const headers = bearer(token);
    const answer = await call(weir.url, readUrl("", [FIGURES]), { headers });
    if (status === 200) assert.equal(answer.status, status, answer.text);
    else assertRefused(answer, 403, "forbidden");
    await using socket = await SocketClient.open(weir.url, { token });
    socket.send({ op: "subscribe", ref: 1, channel: FIGURES });
    const { op, code } = await socket.next();
    assert.deepEqual(
      [op, code],
      status === 200 ? ["subscribed", undefined] : ["error", "forbidden"],
    );
  }
});

Deno.test("in another tenant the figures are hidden from lists and settings too", async () => {
  await using weir = await guardedLocal();
  const own = bearer(await weir.token(SYSTEM));
  await call(weir.url, readUrl("", [FIGURES]), { headers: own });
  const { log } = weir.server.server;
  await until("figures are written", async () => await log.head(FIGURES_CHANNEL_KEY) !== undefined);
  const listed = (await call(weir.url, "/v1/channels", { headers: own })).json.channels;
  assert.deepEqual(listed.map(({ channel }: { channel: string }) => channel), [FIGURES]);
  assert.equal(listed[0].retention.age, 3_600);
  const rights = { subscribe: ["$figures", "**"], manage: ["$figures", "**"] };
  const other = bearer(await weir.token({ tenant: "acme", ...rights }));
  assertRefused(await call(weir.url, FIGURES_PATH, { headers: other }), 403, "forbidden");
  assert.deepEqual((await call(weir.url, "/v1/channels", { headers: other })).json.channels, []);
});

Deno.test("clients cannot publish figures, or change or delete their channel", async () => {
  await using weir = await guardedLocal();
  const token = await weir.token({ ...SYSTEM, admin: true });
  const headers = bearer(token);
  const event = { channel: FIGURES, data: 1 };
  const requests: readonly (RequestInit & { readonly path: string })[] = [
    { path: `${FIGURES_PATH}/events`, method: "POST", body: "1" },
    { path: "/v1/events", method: "POST", body: JSON.stringify(event) },
    { path: FIGURES_PATH, method: "PUT", body: `{"retention":{"events":1}}` },
    { path: FIGURES_PATH, method: "DELETE" },
  ];
  for (const { path, ...init } of requests) {
    assertRefused(await call(weir.url, path, { ...init, headers }), 400, "channel_reserved");
  }
  await using socket = await SocketClient.open(weir.url, { token });
  socket.send({ op: "publish", ref: 1, ...event });
  assert.equal((await socket.next())["code"], "channel_reserved");
});

Deno.test("figures don't count against a tenant's channels", async () => {
  await using weir = await guardedLocal({ WEIR_TENANT_CHANNELS: "1" });
  const headers = bearer(await weir.token(SYSTEM));
  await call(weir.url, readUrl("", [FIGURES]), { headers });
  const { log } = weir.server.server;
  await until("figures are written", async () => await log.head(FIGURES_CHANNEL_KEY) !== undefined);
  const post = (channel: string) =>
    call(weir.url, `/v1/channels/${channel}/events`, { method: "POST", headers, body: "1" });
  assert.equal((await post("a")).status, 201);
  assertRefused(await post("b"), 403, "tenant_limit");
});

Deno.test("a reader of figures misses none across a kill of the server", async () => {
  await using server = await WeirServer.start();
  let lastId: string | undefined;
  const isolates = new Set<string>();
  const seen: string[] = [];
  for (let life = 1; life <= 2; life++) {
    const headers: Record<string, string> = lastId === undefined ? {} : { "Last-Event-ID": lastId };
    await using stream = await SseClient.open(readUrl(server.url, [FIGURES]), headers);
    while (isolates.size < life) {
      const { id, data } = await stream.next();
      lastId = id;
      const { isolate, at }: Sample = JSON.parse(data);
      seen.push(`${isolate} ${at}`);
      isolates.add(isolate);
    }
    if (life === 1) {
      await server.kill();
      await server.start();
    }
  }
  const { json } = await call(
    server.url,
    readUrl("", [FIGURES], { after: "earliest", limit: "1000" }),
  );
  const stored: readonly string[] = json.events.map(({ data }: { data: Sample }) =>
    `${data.isolate} ${data.at}`
  );
  assert.deepEqual(stored.slice(0, seen.length), seen);
  assert.equal(new Set(stored).size, stored.length);
});

Deno.test("every isolate publishes its own figures", async () => {
  await using server = await WeirServer.start({ by: "serve" });
  const stream = await SseClient.open(readUrl(server.url, [FIGURES]));
  const isolates = new Set<string>();
  while (isolates.size < 2) {
    isolates.add(JSON.parse((await stream.next()).data).isolate);
  }
  await stream[Symbol.asyncDispose]();
});
