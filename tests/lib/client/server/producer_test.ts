import assert from "node:assert/strict";
import { inspect } from "node:util";
import { createProducer, WeirError } from "../../../../lib/client/server/server.ts";
import { bearer, guardedLocal } from "../../../support/guarded.ts";
import { LISTENERS, nextEphemeral } from "../../../support/listeners.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel } from "../../../support/publishing.ts";
import { readAll } from "../../../support/readers.ts";
import { until } from "../../../support/until.ts";

type Answer = (
  request: Request,
  count: number,
) => Response | undefined | Promise<Response | undefined>;

/** A proxy in front of `target`. `answer` may answer in its place. */
function openGate(target: string, answer: Answer) {
  const requests: { readonly body: string; readonly authorization: string | null }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.text();
    const { method, headers: given } = request;
    requests.push({ body, authorization: given.get("Authorization") });
    const headers = new Headers(given);
    headers.delete("host");
    const { pathname } = new URL(request.url);
    const own = await answer(new Request(request.url, { method, headers, body }), requests.length);
    return own ?? await fetch(target + pathname, { method, headers, body });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json({ code, detail: "No." }, { status, headers });
}

/** Returns the members that the producer has set. */
async function eventsOf(url: string, channel: string) {
  return (await readAll(url, channel)).map(({ data, type, key, id, expiresAt }) => (
    { data, type, key, id, expires: expiresAt !== undefined }
  ));
}

Deno.test("publish() resolves with where the event is, and sends all options", async () => {
  await using server = await LocalServer.start();
  const weir = createProducer(server.url);
  const channel = newChannel();
  const first = await weir.publish(channel, { ü: 1 });
  const options = { type: "created", id: "x", key: "k", ttl: 60 };
  const second = await weir.publish(channel, null, options);
  const again = await weir.publish(channel, null, options);
  assert.match(first.id, /^[0-9a-f]{32}$/);
  assert.deepEqual([first.channel, first.duplicate], [channel, false]);
  assert.deepEqual([second.id, second.duplicate], ["x", false]);
  assert.deepEqual(again, { ...second, duplicate: true });
  assert.deepEqual(await eventsOf(server.url, channel), [
    { data: { ü: 1 }, type: "message", key: undefined, id: first.id, expires: false },
    { data: null, type: "created", key: "k", id: "x", expires: true },
  ]);
});

Deno.test("publishMany() stores all events in their order, or none", async () => {
  await using server = await LocalServer.start();
  const weir = createProducer(new URL(server.url));
  const [a, b] = [newChannel(), newChannel()];
  const events = Array.from({ length: 100 }, (_, i) => ({ channel: i % 2 ? a : b, data: i }));
  const published = await weir.publishMany(events);
  assert.deepEqual(published.map(({ channel }) => channel), events.map(({ channel }) => channel));
  const odd = (await eventsOf(server.url, a)).map(({ data }) => data);
  assert.deepEqual(odd, Array.from({ length: 50 }, (_, i) => 2 * i + 1));
  assert.deepEqual(await weir.publishMany([]), []);
  await weir.publish(a, 1, { id: "taken" });
  const conflict = [{ channel: b, data: "new" }, { channel: a, data: 2, id: "taken" }];
  await assert.rejects(weir.publishMany(conflict), { code: "idempotency_conflict", index: 1 });
  await assert.rejects(weir.publishMany([...events, { channel: a, data: 1 }]), {
    code: "too_many_events",
    status: 400,
  });
  assert.equal((await eventsOf(server.url, b)).length, 50);
});

Deno.test("an event is stored once, however often it was sent", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const target = server.url;
  await using gate = openGate(target, async (request, count) => {
    if (count === 1) return problem(429, "rate_limited", { "Retry-After": "0" });
    if (count === 2) return problem(503, "contended", { "Retry-After": "0" });
    if (count === 3) return new Response("<h1>Bad gateway</h1>", { status: 502 });
    if (count > 5) return undefined;
    const { pathname } = new URL(request.url);
    const answer = await fetch(target + pathname, {
      method: "POST",
      headers: request.headers,
      body: await request.text(),
    });
    await answer.body?.cancel(); // stored, but the answer is lost
    return count === 4 ? problem(503, "commit_unknown") : new Response("{", { status: 200 });
  });
  const weir = createProducer(`${gate.url}`);
  const { duplicate } = await weir.publish(channel, "once");
  assert.equal(duplicate, true);
  assert.equal(gate.requests.length, 6);
  assert.deepEqual((await eventsOf(target, channel)).map(({ data }) => data), ["once"]);
  assert.equal(new Set(gate.requests.map(({ body }) => body)).size, 1);
});

Deno.test("a call ends when its time is over, with what the last try failed with", async () => {
  await using server = await LocalServer.start();
  await using busy = openGate(
    server.url,
    () => problem(503, "overloaded", { "Retry-After": "60" }),
  );
  await assert.rejects(createProducer(busy.url).publish("a", 1), {
    code: "overloaded",
    status: 503,
    retryAfter: 60_000,
  });
  const silent = Promise.withResolvers<Response>();
  await using mute = openGate(server.url, () => silent.promise);
  const weir = createProducer(mute.url, { timeoutMs: 50 });
  await assert.rejects(weir.publish("a", 1), { code: "unreachable" });
  silent.resolve(new Response());
  const nobody = createProducer("http://127.0.0.1:1", { timeoutMs: 300 });
  await assert.rejects(nobody.publish("a", 1), { code: "unreachable" });
});

Deno.test("a signal ends a call before, while and between tries", async () => {
  await using server = await LocalServer.start();
  const reason = new Error("the request was cancelled");
  const silent = Promise.withResolvers<Response>();
  await using gate = openGate(
    server.url,
    (request) => request.headers.has("authorization") ? problem(503, "contended") : silent.promise,
  );
  const isReason = (cause: unknown) => cause === reason;
  const aborted = AbortSignal.abort(reason);
  await assert.rejects(createProducer(gate.url).publish("a", 1, { signal: aborted }), isReason);
  assert.equal(gate.requests.length, 0);
  for (const auth of [undefined, "key"]) {
    const before = gate.requests.length;
    const controller = new AbortController();
    const events = [{ channel: "a", data: 1 }];
    const { signal } = controller;
    const publishing = createProducer(gate.url, { auth, timeoutMs: 1e9 }).publishMany(events, {
      signal,
    });
    const rejected = assert.rejects(publishing, isReason);
    await until("a try is under way", () => gate.requests.length > before);
    controller.abort(reason);
    await rejected;
  }
  silent.resolve(new Response());
});

Deno.test("refusals are typed errors, and are not tried again", async () => {
  await using weir = await guardedLocal();
  await using gate = openGate(weir.url, () => undefined);
  const auth = await weir.token({ publish: ["mine"] });
  const producer = createProducer(gate.url, { auth });
  const error = await producer.publish("other", 1).catch((cause) => cause);
  assert.ok(error instanceof WeirError);
  assert.deepEqual([error.code, error.status], ["forbidden", 403]);
  assert.match(error.message, /forbidden: This credential may not publish to "other"/);
  const many = [{ channel: "mine", data: 1 }, { channel: "mine", data: 1, type: "weir.x" }];
  await assert.rejects(producer.publishMany(many), { code: "bad_event_type", index: 1 });
  await assert.rejects(createProducer(gate.url).publish("mine", 1), { code: "unauthenticated" });
  assert.equal(gate.requests.length, 3);
});

Deno.test("what cannot be published is refused before it is sent", async () => {
  const weir = createProducer("http://127.0.0.1:1");
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  for (const data of [undefined, cyclic, 1n]) {
    await assert.rejects(weir.publish("a", data), { code: "bad_data" });
    await assert.rejects(weir.publish("a", data, { ephemeral: true }), { code: "bad_data" });
  }
  for (const channel of ["", ".", "..", "\ud800"]) {
    await assert.rejects(weir.publish(channel, 1), { code: "bad_channel" });
    const events = [{ channel: "a", data: 1 }, { channel, data: 1 }];
    await assert.rejects(weir.publishMany(events), { code: "bad_channel", index: 1 });
  }
  for (const url of ["", "weir", "ftp://a", "http://user:hunter2@127.0.0.1"]) {
    assert.throws(() => createProducer(url), (error) => {
      assert.ok(error instanceof WeirError && error.code === "bad_url");
      return !inspect(error).includes("hunter2");
    });
  }
});

Deno.test("an ephemeral event is tried once, and is delivered", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  await using listener = await LISTENERS["WebSocket"]?.(server.url, [channel]) ?? assert.fail();
  const weir = createProducer(server.url);
  const published = await weir.publish(channel, { x: 1 }, { ephemeral: true, type: "typing" });
  assert.deepEqual(published, { channel, offset: "", id: "", duplicate: false });
  const { type, data } = await nextEphemeral(listener);
  assert.deepEqual([type, data], ["typing", { x: 1 }]);
  const withKey = weir.publish(channel, 1, { ephemeral: true, key: "k" });
  await assert.rejects(withKey, { code: "bad_parameter" });
  await using gate = openGate(server.url, () => problem(503, "overloaded", { "Retry-After": "0" }));
  const refused = createProducer(gate.url).publish(channel, 1, { ephemeral: true });
  await assert.rejects(refused, { code: "overloaded" });
  assert.equal(gate.requests.length, 1);
});

Deno.test("`auth` is called for each request, and once more if its result is refused", async () => {
  await using weir = await guardedLocal();
  await using gate = openGate(weir.url, () => undefined);
  const tokens = [await weir.token(), "weir_nonsense", await weir.token(), "x", "y"];
  let calls = 0;
  const auth = () => Promise.resolve(` ${tokens[calls++]}\n`);
  const producer = createProducer(gate.url, { auth });
  await producer.publish("a", 1);
  await producer.publish("a", 2);
  await assert.rejects(producer.publish("a", 3), { code: "token_invalid", status: 401 });
  assert.deepEqual(
    gate.requests.map(({ authorization }) => authorization),
    tokens.map((token) => `Bearer ${token}`),
  );
  const headers = bearer(await weir.token());
  const page = await fetch(`${weir.url}/v1/channels/a/events`, { headers });
  assert.equal((await page.json()).events.length, 2);
});

Deno.test("no error contains the credential", async () => {
  await using weir = await guardedLocal();
  const secret = "giYbibGuFOFIbX0PI34wOnORd5mVjQclSCpEgVD4vLcw3tuAke";
  const credentials = [`weir_${secret}`, `weir_${secret}\nX: 1`, `weir_ü${secret}`, `${secret} x`];
  for (const auth of credentials) {
    for (const url of [weir.url, "http://127.0.0.1:1"]) {
      for (const given of [auth, () => auth]) {
        const producer = createProducer(url, { auth: given, timeoutMs: 100 });
        const error = await producer.publish("a", 1).catch((cause) => cause);
        assert.ok(error instanceof WeirError);
        assert.ok(!inspect(error, { depth: 10, showHidden: true }).includes(secret));
      }
    }
  }
  const failing = createProducer(weir.url, { auth: () => Promise.reject(new Error("no key")) });
  await assert.rejects(failing.publish("a", 1), { code: "auth_failed" });
});

Deno.test("the server's URL may have a path", async () => {
  const seen: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    seen.push(new URL(url).pathname);
    return problem(404, "not_found");
  });
  for (const path of ["", "/", "/weir", "/weir/", "/weir/?x=1#y"]) {
    const weir = createProducer(`http://127.0.0.1:${server.addr.port}${path}`);
    await assert.rejects(weir.publish("a", 1), { code: "not_found" });
  }
  await server.shutdown();
  const below = "/weir/v1/events";
  assert.deepEqual(seen, ["/v1/events", "/v1/events", below, below, below]);
});
