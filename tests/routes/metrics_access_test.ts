import assert from "node:assert/strict";
import { createApp } from "../../routes/app.ts";
import { createMetricsApp } from "../../routes/metrics.ts";
import { assertRefused, call } from "../support/calls.ts";
import { Chromium, CHROMIUM_MISSING } from "../support/chromium.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";
import { metricsUrl } from "../support/metrics.ts";
import { WeirServer } from "../support/server.ts";

Deno.test("in open mode metrics are for clients on this machine, not for those of a proxy", async () => {
  await using local = await LocalServer.start();
  assert.equal((await call(local.url, "/metrics")).status, 200);
  for (const header of ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"]) {
    const proxied = await call(local.url, "/metrics", { headers: { [header]: "192.0.2.1" } });
    assertRefused(proxied, 403, "forbidden");
  }
  const { fetch } = createApp(local.server);
  const request = () => new Request("http://localhost/metrics", { headers: { Host: "localhost" } });
  const remoteAddr = (hostname: string): Deno.NetAddr => ({ transport: "tcp", hostname, port: 1 });
  const from = async (hostname: string) =>
    (await fetch(request(), { remoteAddr: remoteAddr(hostname) })).status;
  assert.equal(await from("192.0.2.1"), 403);
  assert.equal(await from("::1"), 200);
  assert.equal((await fetch(request())).status, 403, "an address that nobody knows");
});

Deno.test("with keys metrics need the right metrics in the tenant default", async () => {
  await using weir = await guardedLocal();
  const all = { publish: ["**"], subscribe: ["**", "$**"], presence: ["**"], manage: ["**"] };
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, number])[] = [
    [{ metrics: true }, 200],
    [{ metrics: true, tenant: "default" }, 200],
    [{ metrics: false }, 403],
    [{ ...all, admin: true }, 403],
    [{ ...all, admin: true, metrics: true, tenant: "acme" }, 403],
  ];
  for (const [rights, status] of cases) {
    const answer = await call(weir.url, "/metrics", { headers: bearer(await weir.token(rights)) });
    assert.equal(answer.status, status, JSON.stringify(rights));
    assert.equal(/weir_/.test(answer.text), status === 200);
  }
  assertRefused(await call(weir.url, "/metrics"), 401, "unauthenticated");
  const admin = bearer(await weir.token({ admin: true }));
  const created = await call(weir.url, "/v1/keys", {
    method: "POST",
    headers: { ...admin, "Content-Type": "application/json" },
    body: JSON.stringify({ metrics: true }),
  });
  assert.equal(created.json.metrics, true);
  assert.equal(
    (await call(weir.url, "/metrics", { headers: bearer(created.json.key) })).status,
    200,
  );
});

Deno.test("WEIR_METRICS moves metrics away from the other requests", async () => {
  for (const WEIR_METRICS of ["off", "127.0.0.1:9090"]) {
    await using local = await LocalServer.start({ WEIR_METRICS });
    assertRefused(await call(local.url, "/metrics"), 404, "not_found");
  }
});

Deno.test("the listener of metrics answers nothing else, and not under every name", async () => {
  await using weir = await guardedLocal({
    WEIR_METRICS: "Weir.example.net:9090",
    WEIR_PUBLIC_URL: "https://weir.example.com",
  });
  const { fetch } = createMetricsApp(weir.server.server);
  const statusOf = async (path: string, host: string, init: RequestInit = {}) => {
    const request = new Request(`http://localhost${path}`, { ...init, headers: { Host: host } });
    return (await fetch(request)).status;
  };
  const own = [
    "localhost:9090",
    "127.0.0.1:9090",
    "10.0.0.5:9090",
    "[fd00::5]:9090",
    "[::1]",
    "weir:9090",
    "WEIR.example.net:9090",
    "weir.example.com:9090",
  ];
  for (const host of own) assert.equal(await statusOf("/metrics", host), 200, host);
  const foreign = [
    "evil.test:9090",
    "evil.test",
    "127.0.0.1.evil.test:9090",
    "10.0.0.5.:9090",
    "weir.:9090",
    "weir.example.net.evil.test",
    "sub.weir.example.com",
    "[evil.test]:9090",
  ];
  for (const host of foreign) assert.equal(await statusOf("/metrics", host), 403, host);
  assert.equal(await statusOf("/metrics", "localhost", { method: "POST" }), 405);
  for (const path of ["/", "/v1/channels/a/events", "/healthz"]) {
    assert.equal(await statusOf(path, "localhost"), 404);
  }
});

Deno.test("a page cannot read metrics under a name of its own that resolves to their listener", {
  ignore: CHROMIUM_MISSING,
}, async () => {
  await using server = await WeirServer.start({ env: { WEIR_METRICS: "127.0.0.1:0" } });
  const { port } = new URL(await metricsUrl(server));
  await using chromium = await Chromium.open(["--host-resolver-rules=MAP *.test 127.0.0.1"]);
  const { page } = chromium;
  const read = async (host: string) => {
    await page.goto(`http://${host}:${port}/`); // a page of the origin, as an attacker's server gives it
    return await page.evaluate(async () => {
      const response = await fetch("/metrics");
      return { status: response.status, text: await response.text() };
    });
  };
  const rebound = await read("evil.test");
  assert.equal(rebound.status, 403);
  assert.doesNotMatch(rebound.text, /weir_build_info/);
  assert.match((await read("127.0.0.1")).text, /weir_build_info/);
});
