import assert from "node:assert/strict";
import {
  createProducer,
  type Publication,
  type PublishOutcome,
  WeirError,
} from "../../../../lib/client/server/server.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { guardedLocal } from "../../../support/guarded.ts";
import { LocalServer } from "../../../support/local_server.ts";
import { newChannel } from "../../../support/publishing.ts";
import { readAll } from "../../../support/readers.ts";
import { until } from "../../../support/until.ts";

/** Events with the data 0, 1, 2 … of one channel. */
function* numbered(channel: string, count: number): Iterable<Publication> {
  for (let data = 0; data < count; data++) yield { channel, data };
}

async function dataOf(url: string, channel: string): Promise<readonly unknown[]> {
  return (await readAll(url, channel)).map(({ data }) => data);
}

function codesOf(outcomes: readonly PublishOutcome[]): readonly (readonly [number, string])[] {
  return outcomes.flatMap((outcome, i) => {
    if (!(outcome instanceof WeirError)) return [];
    assert.equal(outcome.index, i);
    return [[i, outcome.code] as const];
  });
}

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Yields events, and then waits until `signal` aborts. */
async function* endless(count: number, signal: AbortSignal, onClosed: () => void) {
  try {
    yield* numbered("a", count);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  } finally {
    onClosed();
  }
}

/** A server that answers streams of publishes as `answer` says. */
function fakeServer(answer: (lines: readonly string[], count: number) => Response) {
  const bodies: (readonly string[])[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const lines = (await request.text()).trimEnd().split("\n");
    bodies.push(lines);
    return answer(lines, bodies.length);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    bodies,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Acknowledges lines as a server does. */
function acknowledged(lines: readonly string[]): string {
  return lines.map((line, index) => {
    const { channel, id = `stored ${index}` } = JSON.parse(line);
    return `${JSON.stringify({ index, channel, offset: `offset ${index}`, id })}\n`;
  }).join("");
}

function problemLine(index: number | undefined, code: string, status: number): string {
  return `${JSON.stringify({ index, code, detail: "No.", status, retryAfter: 0 })}\n`;
}

Deno.test("publishAll() yields where each event is, in order, from any iterable", async () => {
  await using server = await LocalServer.start();
  const producer = createProducer(server.url);
  const channel = newChannel();
  async function* slowly(): AsyncIterable<Publication> {
    for (const event of numbered(channel, 3_000)) {
      yield await Promise.resolve(event);
    }
  }
  for (const events of [numbered(channel, 3_000), slowly()]) {
    const outcomes = await Array.fromAsync(producer.publishAll(events));
    assert.deepEqual(codesOf(outcomes), []);
    const stored = (await readAll(server.url, channel)).slice(-3_000);
    assert.deepEqual(
      outcomes,
      stored.map(({ offset, id }) => ({ channel, offset, id, duplicate: false })),
    );
    assert.deepEqual(stored.map(({ data }) => data), upTo(3_000));
  }
  assert.deepEqual(await Array.fromAsync(producer.publishAll([])), []);
  const named = { channel, data: "x", type: "created", id: "mine", key: "k", ttl: 60 };
  const repeated = await Array.fromAsync(producer.publishAll([named, named]));
  assert.deepEqual(
    repeated.map((outcome) => outcome instanceof WeirError || [outcome.id, outcome.duplicate]),
    [["mine", false], ["mine", true]],
  );
  const last = (await readAll(server.url, channel)).at(-1);
  assert.deepEqual([last?.type, last?.key], ["created", "k"]);
});

Deno.test("publishAll() continues after an event that is refused", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const event = (data: unknown, more = {}) => ({ channel, data, ...more });
  const events = [
    event(0),
    event(undefined),
    event(1, { type: "weir.reserved" }),
    { channel: "", data: 1 },
    event(2),
    event("x".repeat(1_048_576)),
    event("ü".repeat(600_000)),
    event(3, { id: "x" }),
    event(4, { id: "x" }),
    event(1n),
    event(5),
    event(undefined),
  ];
  const outcomes = await Array.fromAsync(createProducer(server.url).publishAll(events));
  assert.deepEqual(codesOf(outcomes), [
    [1, "bad_data"],
    [2, "bad_event_type"],
    [3, "bad_channel"],
    [5, "event_too_large"],
    [6, "event_too_large"],
    [8, "idempotency_conflict"],
    [9, "bad_data"],
    [11, "bad_data"],
  ]);
  assert.equal(outcomes.length, events.length);
  assert.deepEqual(await dataOf(server.url, channel), [0, 2, 3, 5]);
});

Deno.test("publishAll() stores each event once and in order, wherever connections break", async () => {
  await using server = await LocalServer.start();
  await using proxy = new FaultProxy(server.port);
  const channel = newChannel();
  // Between the head of the answer and its end, and within the body.
  for (const after of [0, 300, 30_000]) {
    proxy.next(["publish"], { act: "cut", way: "down", after });
    proxy.next(["publish"], { act: "cut", way: "up", after });
  }
  const events = numbered(channel, 7_000);
  const outcomes = await Array.fromAsync(createProducer(proxy.url).publishAll(events));
  assert.deepEqual(codesOf(outcomes), []);
  const stored = await readAll(server.url, channel);
  assert.deepEqual(stored.map(({ data }) => data), upTo(7_000));
  assert.deepEqual(
    outcomes.map((outcome) => outcome instanceof WeirError || outcome.offset),
    stored.map(({ offset }) => offset),
  );
  assert.ok(proxy.requests.length > 6, `${proxy.requests.length} requests`);
});

Deno.test("publishAll() sends an event of a slow source without waiting for the next one", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  let stored = 0;
  async function* oneByOne() {
    for (const event of numbered(channel, 20)) {
      await until("the one before is stored", () => stored === event.data);
      yield event;
    }
  }
  for await (const _ of createProducer(server.url).publishAll(oneByOne())) stored++;
  assert.deepEqual(await dataOf(server.url, channel), upTo(20));
});

Deno.test("publishAll() reads no more than the server takes, and no more than is iterated", async () => {
  const held = Promise.withResolvers<void>();
  await using server = fakeServer((lines) =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await held.promise;
          controller.enqueue(new TextEncoder().encode(acknowledged(lines)));
          controller.close();
        },
      }),
    )
  );
  let read = 0;
  function* counted() {
    for (const event of numbered("a", 50_000)) {
      read++;
      yield event;
    }
  }
  const outcomes = createProducer(server.url).publishAll(counted());
  assert.equal(read, 0, "nothing before it is iterated");
  const first = outcomes.next();
  await until("a body has arrived", () => server.bodies.length === 1);
  let before = -1;
  await until("it reads ahead, and no further", () => {
    const hasStopped = read === before;
    before = read;
    return hasStopped && read > 4_000;
  });
  assert.ok(read <= 8_000, `${read} events were read`);
  held.resolve();
  await first;
  assert.equal(server.bodies.length, 1);
  let count = 1;
  for await (const _ of outcomes) count++;
  assert.equal(count, 50_000);
  assert.ok(server.bodies.every((lines) => lines.length <= 4_000));
});

Deno.test("publishAll() waits where a rate limit is reached", async () => {
  await using weir = await guardedLocal({ WEIR_LIMITS: "credential.publishes=100" });
  const auth = await weir.token({ publish: ["a"] });
  const producer = createProducer(weir.url, { auth });
  const outcomes = await Array.fromAsync(producer.publishAll(numbered("a", 250)));
  assert.equal(outcomes.length, 250);
  assert.deepEqual(codesOf(outcomes), []);
});

Deno.test("publishAll() sends events of 1 MiB, and text beyond ASCII", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const texts = ["x".repeat(1_048_574), "é".repeat(500_000), "😀", "\u2028\n\r\u0000"];
  const events = texts.map((data) => ({ channel, data }));
  const outcomes = await Array.fromAsync(createProducer(server.url).publishAll(events));
  assert.deepEqual(codesOf(outcomes), []);
  assert.deepEqual(await dataOf(server.url, channel), texts);
});

Deno.test("a signal ends publishAll() while it waits for its source and for the server", async () => {
  const reason = new Error("stopped");
  const isReason = (cause: unknown) => cause === reason;
  const silent = Promise.withResolvers<void>();
  await using server = fakeServer((lines, count) =>
    count === 1 ? new Response(acknowledged(lines)) : new Response(
      new ReadableStream({
        async pull(controller) {
          await silent.promise;
          controller.close();
        },
      }),
    )
  );
  const producer = createProducer(server.url);
  const aborted = AbortSignal.abort(reason);
  const none = producer.publishAll(numbered("a", 1), { signal: aborted });
  await assert.rejects(Array.fromAsync(none), isReason);
  assert.equal(server.bodies.length, 0);

  for (const hasSecond of [false, true]) {
    const controller = new AbortController();
    const { signal } = controller;
    let isClosed = false;
    const events = endless(hasSecond ? 2 : 1, signal, () => isClosed = true);
    const outcomes = producer.publishAll(events, { signal });
    if (!hasSecond) assert.ok((await outcomes.next()).value);
    const rejected = assert.rejects(Array.fromAsync(outcomes), isReason);
    if (hasSecond) await until("a request is under way", () => server.bodies.length > 1);
    controller.abort(reason);
    await rejected;
    await until("the source is closed", () => isClosed);
  }
  silent.resolve();
});

Deno.test("leaving publishAll() closes its source and ends its request", async () => {
  let isCancelled = false;
  await using server = fakeServer((lines) =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(acknowledged(lines.slice(0, 2))));
        },
        cancel: () => void (isCancelled = true),
      }),
    )
  );
  let isClosed = false;
  function* source() {
    try {
      yield* numbered("a", 20_000);
    } finally {
      isClosed = true;
    }
  }
  for await (const _ of createProducer(server.url).publishAll(source())) break;
  assert.ok(isClosed);
  await until("the request has ended", () => isCancelled);
});

Deno.test("publishAll() throws what its source throws, after the outcomes before", async () => {
  await using server = await LocalServer.start();
  const channel = newChannel();
  const cause = new Error("the file ends here");
  async function* failing() {
    yield* numbered(channel, 10);
    await Promise.resolve();
    throw cause;
  }
  const seen: PublishOutcome[] = [];
  const publishing = (async () => {
    for await (const outcome of createProducer(server.url).publishAll(failing())) {
      seen.push(outcome);
    }
  })();
  await assert.rejects(publishing, (error) => error === cause);
  assert.equal(seen.length, 10);
});

Deno.test("publishAll() sends again what the server could not store for now", async () => {
  await using server = fakeServer((lines, count) => {
    const ok = acknowledged(lines).trimEnd().split("\n").map((line) => `${line}\n`);
    if (count === 1) return Response.json({ code: "overloaded", detail: "No." }, { status: 503 });
    if (count === 2) {
      return new Response(`${ok[0]}${problemLine(1, "commit_unknown", 503)}${ok[2]}`);
    }
    if (count === 3) return new Response(`${ok[0]}${problemLine(1, "forbidden", 403)}`);
    if (count === 4) return new Response(`${ok[0]}${problemLine(undefined, "shutting_down", 503)}`);
    if (count === 5) return new Response(`${ok[0]}{"index":1,"chan`);
    return new Response(ok.join(""));
  });
  const outcomes = await Array.fromAsync(
    createProducer(server.url).publishAll(numbered("a", 10)),
  );
  assert.deepEqual(codesOf(outcomes), [[2, "forbidden"]]);
  const sent = server.bodies.map((lines) => lines.map((line) => JSON.parse(line).data));
  const from = (first: number) => upTo(10).slice(first);
  assert.deepEqual(sent, [from(0), from(0), from(1), from(3), from(4), from(5)]);
  const ids = (data: number) =>
    server.bodies.flat().map((line) => JSON.parse(line))
      .filter((event) => event.data === data).map(({ id }) => id);
  assert.equal(new Set(ids(9)).size, 1);
  assert.equal(new Set(upTo(10).flatMap(ids)).size, 10);
});

Deno.test("publishAll() renews a credential that is refused or ends while it publishes", async () => {
  await using server = fakeServer((lines, count) => {
    if (count === 1) return Response.json({ code: "key_invalid", detail: "No." }, { status: 401 });
    const ok = acknowledged(lines);
    if (count > 2) return new Response(ok);
    return new Response(ok.split("\n", 1) + "\n" + problemLine(undefined, "token_expired", 401));
  });
  let calls = 0;
  const auth = () => `token ${calls++}`.replace(" ", "_");
  const renewing = createProducer(server.url, { auth });
  const outcomes = await Array.fromAsync(renewing.publishAll(numbered("a", 3)));
  assert.deepEqual(codesOf(outcomes), []);
  assert.equal(outcomes.length, 3);
  assert.equal(calls, 3);
  await using weir = await guardedLocal();
  let wrong = 0;
  for (const auth of ["weir_nonsense", () => `weir_nonsense_${wrong++}`]) {
    const refused = createProducer(weir.url, { auth }).publishAll(numbered("a", 1));
    await assert.rejects(Array.fromAsync(refused), { status: 401 });
  }
  assert.equal(wrong, 2);
});

Deno.test("publishAll() fails once there was no answer for its timeout", async () => {
  const silent = Promise.withResolvers<void>();
  await using mute = fakeServer((lines) =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(acknowledged(lines.slice(0, 1))));
        },
        async pull(controller) {
          await silent.promise;
          controller.close();
        },
      }),
    )
  );
  const producer = createProducer(mute.url, { timeoutMs: 1_000 });
  const seen: PublishOutcome[] = [];
  const publishing = (async () => {
    for await (const outcome of producer.publishAll(numbered("a", 2))) seen.push(outcome);
  })();
  await assert.rejects(publishing, { code: "unreachable" });
  assert.equal(seen.length, 1);
  silent.resolve();
  const nobody = createProducer("http://127.0.0.1:1", { timeoutMs: 300 });
  await assert.rejects(Array.fromAsync(nobody.publishAll(numbered("a", 1))), {
    code: "unreachable",
  });
  await using page = fakeServer(() => new Response("<h1>Sign in</h1>\n"));
  const behindPortal = createProducer(page.url, { timeoutMs: 1_000 }).publishAll(numbered("a", 1));
  await assert.rejects(Array.fromAsync(behindPortal), { code: "bad_answer" });
});

Deno.test("without ids publishAll() sends again only what the server has certainly not stored", async () => {
  await using server = fakeServer((lines, count) => {
    if (count === 1) {
      const headers = { "Retry-After": "0" };
      return Response.json({ code: "overloaded", detail: "No." }, { status: 503, headers });
    }
    const ok = acknowledged(lines);
    if (count === 2) {
      return new Response(
        ok.split("\n", 2).join("\n") + "\n" +
          problemLine(undefined, "shutting_down", 503),
      );
    }
    return new Response(ok.slice(0, ok.indexOf("\n") + 1));
  });
  const seen: PublishOutcome[] = [];
  const publishing = (async () => {
    const producer = createProducer(server.url);
    for await (const outcome of producer.publishAll(numbered("a", 5), { ids: false })) {
      seen.push(outcome);
    }
  })();
  await assert.rejects(publishing, { code: "body_incomplete" });
  assert.deepEqual(
    server.bodies.map((lines) => lines.map((line) => JSON.parse(line))),
    [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [2, 3, 4]].map((all) =>
      all.map((data) => ({ channel: "a", data }))
    ),
  );
  assert.equal(seen.length, 3);
});
