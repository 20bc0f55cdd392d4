import assert from "node:assert/strict";
import { connect, WeirError } from "../../../lib/client/client.ts";
import { makeClient } from "../../../lib/client/make_client.ts";
import { endOf, endure, MAX_TRIES, refusal } from "../../support/client_errors.ts";
import { EVERY_TRANSPORT, proxyFor, withTransport } from "../../support/every_transport.ts";
import { FaultProxy } from "../../support/fault_proxy.ts";
import { endingIn, guardedLocal } from "../../support/guarded.ts";
import { shortTimers } from "../../support/client_platform.ts";
import { newChannel } from "../../support/publishing.ts";
import { test } from "../../support/rejections.ts";
import { until } from "../../support/until.ts";

/** A client that retries immediately and tolerates a slow machine. */
const PROMPT = shortTimers({ maxMs: 5_000, random: () => 0 });

for (
  const [name, token, code] of [
    ["no token", "rubbish", "token_invalid"],
    ["an API key that never was", `weir_${"a".repeat(20)}_${"b".repeat(43)}`, "key_invalid"],
    ["nothing", undefined, "unauthenticated"],
  ] as const
) {
  test(`${name} as a credential closes the client without a retry`, async () => {
    await using guarded = await guardedLocal();
    await guarded.server.serveWebTransport();
    await using proxy = FaultProxy.withUdp(guarded.server.port);
    for (const transport of EVERY_TRANSPORT) {
      const before = proxy.requests.length;
      await using weir = makeClient(proxy.url, {
        transports: [transport],
        ...token !== undefined && { auth: () => token },
      }, PROMPT);
      const error = await endOf(weir, "a");
      assert.equal(error?.code, code, transport);
      assert.deepEqual(weir.state.value, { status: "closed", error });
      const publishing = await refusal(weir.publish("a", 1));
      assert.equal(publishing.code, code);
      const asked = proxy.requests.length - before;
      assert.ok(asked <= 4, `${asked} requests over ${transport}`);
    }
  });
}

test("auth that keeps returning an expired token closes the client", async () => {
  await using guarded = await guardedLocal();
  await guarded.server.serveWebTransport();
  await using proxy = FaultProxy.withUdp(guarded.server.port);
  const token = await guarded.token(undefined, endingIn(-10));
  for (const transport of EVERY_TRANSPORT) {
    const before = proxy.requests.length;
    let given = 0;
    await using weir = makeClient(
      proxy.url,
      { auth: () => (given++, token), transports: [transport] },
      PROMPT,
    );
    const error = await endOf(weir, "a");
    assert.equal(error?.code, "token_expired", transport);
    assert.ok(given <= 5, `asked for it ${given} times`);
    assert.ok(proxy.requests.length - before <= 5, `${proxy.requests.length - before} requests`);
  }
});

for (const transport of EVERY_TRANSPORT) {
  test(`auth that refuses when the token of a ${transport} expires closes the client with its error`, async () => {
    await using guarded = await guardedLocal();
    await withTransport(transport, guarded.server);
    let given = 0;
    await using weir = makeClient(guarded.url, {
      transports: [transport],
      async auth() {
        if (given++ > 0) throw new WeirError("auth_failed", "the session is over");
        return await guarded.token(undefined, endingIn(2));
      },
    }, PROMPT);
    const error = await endOf(weir, "a");
    assert.equal(error?.code, "auth_failed");
    assert.match(error.detail, /the session is over/);
    assert.ok(given <= 4, `asked ${given} times`);
  });
}

test("auth that throws the first time closes the client with its error", async () => {
  await using proxy = new FaultProxy(0);
  const thrown = new Error("nobody is signed in");
  for (
    const auth of [() => Promise.reject(thrown), () => {
      throw thrown;
    }]
  ) {
    await using weir = connect(proxy.url, { auth });
    const publishing = refusal(weir.publish("a", 1));
    const error = await endOf(weir, "a");
    assert.equal(error?.code, "auth_failed");
    assert.match(error.detail, /nobody is signed in/);
    assert.equal(error.cause, thrown);
    assert.equal((await publishing).code, "auth_failed");
  }
  assert.equal(proxy.requests.length, 0);
});

test("auth that cannot reach its server is called again from time to time", async () => {
  await using proxy = new FaultProxy(0);
  let asked = 0;
  const { error } = await endure(proxy.url, {
    auth() {
      asked++;
      throw new TypeError("fetch failed");
    },
  });
  assert.equal(error.code, "auth_failed");
  assert.ok(asked > 3 && asked < MAX_TRIES, `asked ${asked} times`);
});

test("auth that never settles times out with an error, and is called again from time to time", async () => {
  await using proxy = new FaultProxy(0);
  let asked = 0;
  const { error } = await endure(proxy.url, {
    auth: () => (asked++, new Promise<string>(() => {})),
  });
  assert.equal(error.code, "auth_failed");
  assert.ok(asked > 3 && asked < MAX_TRIES, `asked ${asked} times`);
  assert.equal(proxy.requests.length, 0);
});

test("a malformed credential closes the client with an explanation", async () => {
  await using guarded = await guardedLocal();
  await guarded.server.serveWebTransport();
  const wrong: readonly unknown[] = [undefined, null, 17, {}, "", "two\nlines", "ü", { token: 7 }];
  for (const given of wrong) {
    for (const transport of EVERY_TRANSPORT) {
      await using weir = makeClient(guarded.url, {
        auth: () => given as string, // JavaScript does not check the type
        transports: [transport],
      }, PROMPT);
      const error = await endOf(weir, "a");
      assert.match(
        error?.code ?? "",
        /^(auth_failed|unauthenticated|token_invalid)$/,
        `${transport} ${Deno.inspect(given)}: ${error}`,
      );
    }
  }
});

for (const transport of EVERY_TRANSPORT) {
  test(`a clock that is an hour wrong does not matter over ${transport}`, async () => {
    await using guarded = await guardedLocal({ WEIR_HEARTBEAT: "1s" });
    await withTransport(transport, guarded.server);
    await Promise.all([-3_600_000, 3_600_000].map(async (clockError) => {
      await using proxy = proxyFor(transport, guarded.server);
      let given = 0;
      await using weir = makeClient(proxy.url, {
        transports: [transport],
        auth: () => (given++, guarded.token(undefined, endingIn(3))),
      }, shortTimers({ maxMs: 5_000, clockErrorMs: clockError }));
      const channel = newChannel();
      const seen: unknown[] = [];
      weir.listen(channel, {
        after: "earliest",
        onEvent: ({ data }) => void seen.push(data),
        onGap: "throw",
      });
      await weir.publish(channel, 1);
      await until("it has come", () => seen.length === 1);
      // The token expires, and heartbeats pass.
      await until("the next token was asked for", () => given >= 2);
      await weir.publish(channel, 2);
      await until("it has come", () => seen.length === 2);
      assert.ok(given < 10, `${given} tokens`);
      assert.ok(proxy.requests.length < 30, `${proxy.requests.length} requests`);
    }));
  });
}
