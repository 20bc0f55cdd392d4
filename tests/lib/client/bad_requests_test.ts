import assert from "node:assert/strict";
import type { ConnectOptions, Weir } from "../../../lib/client/api.ts";
import { connect, type WeirError } from "../../../lib/client/client.ts";
import { makeClient } from "../../../lib/client/make_client.ts";
import { endOf, refusal, typed } from "../../support/client_errors.ts";
import { EVERY_TRANSPORT, proxyFor, withTransport } from "../../support/every_transport.ts";
import { guardedLocal } from "../../support/guarded.ts";
import { shortTimers } from "../../support/client_platform.ts";
import { LocalServer } from "../../support/local_server.ts";
import { newChannel, publish } from "../../support/publishing.ts";
import { test } from "../../support/rejections.ts";
import { until } from "../../support/until.ts";

/** A client that retries immediately and tolerates a slow machine. */
const PROMPT = shortTimers({ maxMs: 5_000, random: () => 0 });
const MIB = 2 ** 20;

for (const transport of EVERY_TRANSPORT) {
  test(`a forbidden channel does not end an allowed one over ${transport}`, async () => {
    await using guarded = await guardedLocal();
    await withTransport(transport, guarded.server);
    await using proxy = proxyFor(transport, guarded.server);
    const all = await guarded.token();
    const token = await guarded.token({ publish: ["open:*"], subscribe: ["open:*"] });
    await using weir = makeClient(
      proxy.url,
      { auth: () => token, transports: [transport] },
      PROMPT,
    );
    const seen: unknown[] = [];
    weir.listen("open:a", {
      after: "earliest",
      onEvent: ({ data }) => seen.push(data),
      onGap: "throw",
    });
    const error = await endOf(weir, "closed:b");
    assert.equal(error?.code, "forbidden");
    for (let i = 0; i < 3; i++) {
      await publish(guarded.url, "open:a", i, { Authorization: `Bearer ${all}` });
    }
    await until("the allowed one continues", () => seen.length === 3);
    assert.equal((await endOf(weir, "closed:b"))?.code, "forbidden");
    const publishing = await refusal(weir.publish("closed:b", 1));
    assert.equal(publishing.code, "forbidden");
    await weir.publish("open:a", 3);
    await until("it continues", () => seen.length === 4);
    assert.ok(proxy.requests.length < 25, `${proxy.requests.length} requests`);
  });

  test(`an invalid channel name ends its subscription over ${transport}`, async () => {
    await using server = await withTransport(transport, await LocalServer.start());
    await using proxy = proxyFor(transport, server);
    await using weir = makeClient(proxy.url, { transports: [transport] }, PROMPT);
    const channel = newChannel();
    const seen: unknown[] = [];
    weir.listen(channel, {
      after: "earliest",
      onEvent: ({ data }) => seen.push(data),
      onGap: "throw",
    });
    for (const name of ["", "two\nlines", "ü".repeat(129), "$none", "\ud800", "\0"]) {
      const error = await endOf(weir, name);
      assert.match(error?.code ?? "", /^(bad_channel|channel_reserved|forbidden)$/, name);
      assert.match((await refusal(weir.publish(name, 1))).code, /^(bad_channel|channel_reserved)$/);
      typed(await refusal(weir.history(name)));
      assert.match(
        (await refusal(weir.presence(name).enter(1, { member: "ann" }))).code,
        /^(bad_channel|channel_reserved)$/,
      );
    }
    await publish(server.url, channel, 1);
    await until("the good one continues", () => seen.length === 1);
    assert.ok(proxy.requests.length < 60, `${proxy.requests.length} requests`);
  });

  test(`an invalid cursor ends the subscription over ${transport}`, async () => {
    await using server = await withTransport(transport, await LocalServer.start());
    await using proxy = proxyFor(transport, server);
    await using weir = makeClient(proxy.url, { transports: [transport] }, PROMPT);
    for (const after of ["", "x", "vAAAA", "0mwpu38co_1", "Latest", "\ud800"]) {
      const events = weir.subscribe(newChannel(), { after, onGap: "throw" });
      const error = await refusal(Array.fromAsync(events));
      assert.equal(error.code, "bad_cursor", after);
    }
    assert.ok(proxy.requests.length < 25, `${proxy.requests.length} requests`);
  });

  test(`an event of 1 MiB arrives over ${transport}, and one more byte is refused`, async () => {
    await using server = await withTransport(transport, await LocalServer.start());
    await using proxy = proxyFor(transport, server);
    await using weir = makeClient(proxy.url, { transports: [transport] }, PROMPT);
    const channel = newChannel();
    const seen: unknown[] = [];
    weir.listen(channel, {
      after: "earliest",
      onEvent: ({ data }) => seen.push(data),
      onGap: "throw",
    });
    await until("it is open", () => weir.state.value.status === "open");
    const largest = "\n".repeat((MIB - 2) / 2); // twice as large as JSON
    await weir.publish(channel, largest);
    assert.equal((await refusal(weir.publish(channel, `${largest}x`))).code, "event_too_large");
    await weir.publish(channel, "after");
    await until("both have come", () => seen.length === 2);
    assert.deepEqual(seen, [largest, "after"]);
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    await fetch(`${server.url}/v1/channels/${channel}/events`, { method: "POST", body: bytes })
      .then((response) => response.body?.cancel());
    await until("bytes have come", () => seen.length === 3);
    assert.deepEqual(seen[2], bytes);
    assert.ok(proxy.requests.length < 25, `${proxy.requests.length} requests`);
  });

  test(`a refused publish rejects once over ${transport}, and the next one succeeds`, async () => {
    await using server = await withTransport(transport, await LocalServer.start());
    await using proxy = proxyFor(transport, server);
    await using weir = makeClient(proxy.url, { transports: [transport] }, PROMPT);
    const channel = newChannel();
    weir.listen(channel, { onEvent() {}, onGap: "throw" });
    await until("it is open", () => weir.state.value.status === "open");
    await weir.publish(channel, 1, { id: "one" });
    const circular: unknown[] = [];
    circular.push(circular);
    const wrong: readonly (readonly [unknown, Parameters<Weir["publish"]>[2], RegExp])[] = [
      [2, { id: "one" }, /^idempotency_conflict$/],
      [2, { id: "" }, /^bad_/],
      [2, { type: "weir.gap" }, /^bad_event_type$/],
      [2, { key: "x".repeat(257) }, /^bad_/],
      [2, { ttl: 0.5 }, /^bad_/],
      [undefined, {}, /^bad_data$/],
      [() => {}, {}, /^bad_data$/],
      [circular, {}, /^bad_data$/],
      [1n, {}, /^bad_data$/],
      [2, { ephemeral: true, id: "x" }, /^bad_parameter$/],
      ["x".repeat(20_000), { ephemeral: true }, /^event_too_large$/],
    ];
    const all = wrong.map(async ([data, options, code]) => {
      const error = await refusal(weir.publish(channel, data, options));
      assert.match(error.code, code, `${Deno.inspect(options)} ${error}`);
    });
    const good = weir.publish(channel, "good");
    await Promise.all(all);
    const { offset } = await good;
    assert.match(offset, /_0000000000000002$/);
    assert.ok(proxy.requests.length < 40, `${proxy.requests.length} requests`);
  });
}

test("a full, denied or broken cursor store is reported once, and reading continues", async () => {
  await using server = await LocalServer.start();
  const denied = () => {
    throw new DOMException("The operation is insecure.", "SecurityError");
  };
  const full = () => {
    throw new DOMException("The quota has been exceeded.", "QuotaExceededError");
  };
  const rejects = () => Promise.reject(new Error("the disk is gone"));
  const stores: readonly NonNullable<ConnectOptions["cursors"]>[] = [
    { get: denied, set: denied },
    { get: () => undefined, set: full },
    { get: rejects, set: rejects },
    { get: () => undefined, set: rejects },
  ];
  for (const cursors of stores) {
    const told: WeirError[] = [];
    await using weir = connect(server.url, {
      cursors,
      onError: (error) => told.push(error),
    });
    const channel = newChannel();
    const seen: unknown[] = [];
    weir.listen(channel, { onEvent: ({ data }) => seen.push(data), onGap: "throw" });
    await until("an event comes", async () => {
      await publish(server.url, channel, 1);
      return seen.length > 2;
    });
    await weir.close();
    assert.deepEqual(told.map(({ code }) => code), ["cursor_store_failed"]);
    typed(told[0]);
  }
});

test("an invalid stored cursor is reported, and reading begins at the latest event", async () => {
  await using server = await LocalServer.start();
  const told: string[] = [];
  await using weir = connect(server.url, {
    cursors: { get: () => "rubbish", set() {} },
    onError: ({ code }) => told.push(code),
  });
  const channel = newChannel();
  const seen: unknown[] = [];
  const listening = weir.listen(channel, {
    onEvent: ({ data }) => seen.push(data),
    onGap: "throw",
  });
  await until("reading has begun", () => listening.cursor !== undefined);
  await publish(server.url, channel, 1);
  await until("an event comes", () => seen.length === 1);
  assert.deepEqual(told, ["cursor_store_failed"]);
});
