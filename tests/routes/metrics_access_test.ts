import assert from "node:assert/strict";
import { assertRefused, call } from "../support/calls.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { LocalServer } from "../support/local_server.ts";
import { createApp } from "../../routes/app.ts";
import { createMetricsApp } from "../../routes/metrics.ts";

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

Deno.test("the listener of metrics answers nothing else, and no page", async () => {
  await using local = await LocalServer.start({ WEIR_METRICS: "127.0.0.1:9090" });
  const { fetch } = createMetricsApp(local.server);
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(new Request(`http://rebound.example${path}`, init));
  const statusOf = async (path: string, init?: RequestInit) => (await ask(path, init)).status;
  assert.equal(await statusOf("/metrics"), 200);
  assert.equal(await statusOf("/metrics", { headers: { "Sec-Fetch-Site": "none" } }), 200);
  assert.equal(await statusOf("/metrics", { headers: { "Sec-Fetch-Site": "same-origin" } }), 403);
  assert.equal(await statusOf("/metrics", { method: "POST" }), 404);
  for (const path of ["/", "/v1/channels/a/events", "/healthz"]) {
    assert.equal(await statusOf(path), 404);
  }
});
