import assert from "node:assert/strict";
import type { ConnectOptions } from "../../../../lib/client/api.ts";
import { makeClient } from "../../../../lib/client/make_client.ts";
import { Credentials } from "../../../../lib/client/connection/credentials.ts";
import { PLATFORM } from "../../../../lib/client/core/platform.ts";
import { EVERY_TRANSPORT, proxyFor, withTransport } from "../../../support/every_transport.ts";
import { ALL, FaultProxy } from "../../../support/fault_proxy.ts";
import { bearer, endingIn, guardedLocal } from "../../../support/guarded.ts";
import { publish } from "../../../support/publishing.ts";
import { QUICK_RETRIES, quickRetriesOver } from "../../../support/client_platform.ts";
import { until } from "../../../support/until.ts";

function credentialsOf(auth: ConnectOptions["auth"]): Credentials {
  const { signal: closed } = new AbortController();
  return new Credentials(auth, { platform: PLATFORM, closed, report() {}, fail: assert.fail });
}

Deno.test("a token is used until it is renewed, a ticket once", async () => {
  let asked = 0;
  const tokens = credentialsOf(() => Promise.resolve(`token-${++asked}`));
  assert.deepEqual(await tokens.get(), { token: "token-1" });
  assert.deepEqual(await tokens.get(), { token: "token-1" });
  assert.deepEqual(await tokens.renew(), { token: "token-2" });
  assert.deepEqual(await tokens.get(), { token: "token-2" });
  assert.equal(tokens.isTicket, false);

  const tickets = credentialsOf(() => ({ ticket: `wt_${++asked}` }));
  assert.deepEqual(await tickets.renew(), { ticket: "wt_3" });
  assert.deepEqual(await tickets.get(), { ticket: "wt_3" });
  assert.deepEqual(await tickets.get(), { ticket: "wt_4" });
  assert.equal(tickets.isTicket, true);
  assert.deepEqual(await credentialsOf(undefined).get(), {});
});

Deno.test("concurrent requests share a token, but each gets its own ticket", async () => {
  let asked = 0;
  const credentials = credentialsOf(async () => {
    await undefined;
    return `token-${++asked}`;
  });
  const given = await Promise.all([credentials.get(), credentials.renew(), credentials.get()]);
  assert.deepEqual(given, given.map(() => ({ token: "token-1" })));

  const tickets = credentialsOf(() => ({ ticket: `wt_${++asked}` }));
  assert.deepEqual(await Promise.all([tickets.get(), tickets.get()]), [
    { ticket: "wt_2" },
    { ticket: "wt_3" },
  ]);
});

Deno.test("many calls share one call of auth, and one more after the token expired", async () => {
  await using guarded = await guardedLocal();
  let asked = 0;
  const auth = () => guarded.token(undefined, endingIn(asked++ === 0 ? -10 : 60));
  await using weir = makeClient(guarded.url, { auth }, QUICK_RETRIES);
  const call = () => Promise.all(Array.from({ length: 5 }, (_, i) => weir.history(`c${i}`)));
  await call();
  assert.equal(asked, 2);
  await call();
  assert.equal(asked, 2);
});

Deno.test("a token is kept during an outage", async () => {
  await using guarded = await guardedLocal();
  await using proxy = new FaultProxy(guarded.server.port);
  let asked = 0;
  const auth = () => (asked++, guarded.token());
  await using weir = makeClient(proxy.url, { auth }, QUICK_RETRIES);
  const seen: unknown[] = [];
  weir.listen("a", {
    after: "earliest",
    onEvent: ({ data }) => void seen.push(data),
    onGap: "throw",
  });
  await until("it is open", () => weir.state.value.status === "open");
  let tries = 0;
  weir.state.subscribe(({ status }) => status === "reconnecting" && tries++);
  proxy.on(ALL, { act: "refuse" });
  proxy.cut();
  await until("it has tried for a while", () => tries >= 5);
  proxy.off();
  await publish(guarded.url, "a", 1, bearer(await guarded.token()));
  await until("it came", () => seen.length === 1);
  assert.equal(asked, 1);
});

for (const transport of EVERY_TRANSPORT) {
  Deno.test(`${transport}: auth that fails once at the token's end is reported and called again`, async () => {
    await using guarded = await guardedLocal();
    await withTransport(transport, guarded.server);
    let asked = 0;
    const told: string[] = [];
    const auth = () => {
      if (++asked === 2) throw new Error("no token: 503");
      return guarded.token(undefined, endingIn(asked === 1 ? 3 : 60));
    };
    const onError = ({ code }: { readonly code: string }) => told.push(code);
    await using weir = makeClient(
      guarded.url,
      { transports: [transport], auth, onError },
      quickRetriesOver(transport),
    );
    const seen: unknown[] = [];
    weir.listen("a", {
      after: "earliest",
      onEvent: ({ data }) => void seen.push(data),
      onGap: "throw",
    });
    await until("it was asked again", () => asked >= 3);
    await weir.publish("a", 1);
    await until("it came", () => seen.length === 1);
    assert.ok(told.includes("auth_failed"), `${told}`);
    assert.equal(asked, 3);
  });
}

for (const transport of EVERY_TRANSPORT) {
  Deno.test(`${transport}: tokens are renewed before they expire, and nothing is lost`, async () => {
    await using guarded = await guardedLocal();
    await withTransport(transport, guarded.server);
    await using proxy = proxyFor(transport, guarded.server);
    const rights = { subscribe: ["**"] };
    let asked = 0;
    const auth = () => (asked++, guarded.token(rights, endingIn(2)));
    const publisher = bearer(await guarded.token());
    const platform = quickRetriesOver(transport);
    await using weir = makeClient(proxy.url, { transports: [transport], auth }, platform);
    const found: unknown[] = [];
    weir.listen("a", {
      after: "earliest",
      onEvent: ({ data }) => void found.push(data),
      onGap: "throw",
      onError: (error) => void found.push(error),
    });
    let sent = 0;
    await until("four tokens were used", async () => {
      await publish(guarded.url, "a", ++sent, publisher);
      return asked >= 4;
    });
    await publish(guarded.url, "a", ++sent, publisher);
    await until("all came", () => found.length >= sent);
    assert.deepEqual(found, Array.from({ length: sent }, (_, i) => i + 1));
    // An open connection replaces its token by the next one.
    if (!transport.endsWith("poll")) assert.equal(proxy.count([transport]), 1);
    for (const { path } of proxy.requests) assert.ok(!path.includes("eyJ"), path);
  });
}

Deno.test("each ticket opens one connection or stream, and publishes use the connection", async () => {
  // UDP that is cut is silent, which is noticed after two heartbeats.
  await using guarded = await guardedLocal({ WEIR_HEARTBEAT: "1s" });
  await guarded.server.serveWebTransport();
  await using proxy = FaultProxy.withUdp(guarded.server.port);
  const headers = bearer(await guarded.token());
  const auth = async () => {
    const response = await fetch(`${guarded.url}/v1/tickets`, { method: "POST", headers });
    const { ticket } = await response.json();
    return { ticket };
  };
  for (const transport of ["webtransport", "websocket", "sse"] as const) {
    const platform = quickRetriesOver(transport);
    await using weir = makeClient(proxy.url, { transports: [transport], auth }, platform);
    const found: unknown[] = [];
    weir.listen(transport, {
      after: "earliest",
      onEvent: ({ data }) => void found.push(data),
      onGap: "throw",
    });
    await until("it is open", () => weir.state.value.status === "open");
    await publish(guarded.url, transport, 1, headers);
    await until("it came", () => found.length === 1);
    if (transport !== "sse") {
      await Promise.all([2, 3, 4].map((n) => weir.publish(transport, n)));
    } else {
      for (const n of [2, 3, 4]) await publish(guarded.url, transport, n, headers);
    }
    proxy.cut();
    await publish(guarded.url, transport, 5, headers);
    await until("it came", () => found.length === 5);
    assert.deepEqual(found, [1, 2, 3, 4, 5]);
  }
});

Deno.test("auth is called again after its token was revoked, and reading continues", async () => {
  await using guarded = await guardedLocal();
  await guarded.server.serveWebTransport();
  const admin = { publish: ["**"], subscribe: ["**"], admin: true };
  for (const transport of EVERY_TRANSPORT) {
    let asked = 0;
    const auth = () => guarded.token(admin, { jti: `${transport}-${++asked}` });
    const publisher = bearer(await guarded.token(admin, { sub: "publisher" }));
    const platform = quickRetriesOver(transport);
    await using weir = makeClient(guarded.url, { transports: [transport], auth }, platform);
    const found: unknown[] = [];
    weir.listen(transport, {
      after: "earliest",
      onEvent: ({ data }) => void found.push(data),
      onGap: "throw",
    });
    await publish(guarded.url, transport, 1, publisher);
    await until("it came", () => found.length === 1);
    const revoked = await fetch(`${guarded.url}/v1/revocations`, {
      method: "POST",
      headers: { ...publisher, "Content-Type": "application/json" },
      body: JSON.stringify({ jti: `${transport}-${asked}` }),
    });
    assert.equal(revoked.status, 201);
    await revoked.body?.cancel();
    await publish(guarded.url, transport, 2, publisher);
    await until("it came", () => found.length === 2);
    assert.ok(asked >= 2);
    assert.deepEqual(found, [1, 2]);
  }
});
