import assert from "node:assert/strict";
import { Problem } from "../../lib/shared/problem.ts";
import { problemResponse } from "../../routes/problem.ts";
import { bearer, guardedLocal } from "../support/guarded.ts";
import { post } from "../support/publishing.ts";

/** All rights, including those of an administrator. */
const ALL = {
  publish: ["**"],
  subscribe: ["**", "$**"],
  manage: ["**"],
  admin: true,
};

Deno.test("every answer has nosniff", async () => {
  await using weir = await guardedLocal();
  const auth = bearer(await weir.token(ALL));
  const json = { ...auth, "Content-Type": "application/json" };
  const published = await post(weir.url, "a", "1", json);
  await published.body?.cancel();
  assert.equal(published.status, 201);
  const get = (accept = "application/json") => ({ headers: { ...auth, Accept: accept } });
  const send = (method: string, body: unknown) => ({
    method,
    headers: json,
    body: JSON.stringify(body),
  });
  const requests: readonly (readonly [path: string, init: RequestInit, status: number])[] = [
    ["/", get(), 200],
    ["/assets/icon.svg", get(), 200],
    ["/healthz", {}, 200],
    ["/readyz", {}, 200],
    ["/v1/channels", get(), 200],
    ["/v1/channels/a", get(), 200],
    ["/v1/channels/a", send("PUT", {}), 200],
    ["/v1/channels/a/events", send("POST", 2), 201],
    ["/v1/events", send("POST", { channel: "a", data: 3 }), 201],
    ["/v1/channels/a/events", get(), 200],
    ["/v1/channels/a/events?wait=1&after=earliest", get(), 200],
    ["/v1/channels/a/events", get("text/event-stream"), 200],
    ["/v1/events?channel=a", get(), 200],
    ["/v1/tickets", send("POST", { as: "ticket" }), 201],
    ["/v1/keys", get(), 200],
    ["/v1/keys", send("POST", { subscribe: ["a"] }), 201],
    ["/v1/revocations", get(), 200],
    ["/nowhere", get(), 404],
    ["/v1/channels", { method: "PUT", headers: auth }, 405],
    ["/v1/channels/a/events", {}, 401],
    ["/v1/socket", get(), 426],
    ["/v1/channels/a", { headers: { ...auth, Origin: "https://evil.example" } }, 403],
  ];
  for (const [path, init, status] of requests) {
    const response = await fetch(weir.url + path, init);
    await response.body?.cancel();
    const name = `${init.method ?? "GET"} ${path}`;
    assert.equal(response.status, status, name);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff", name);
    const type = response.headers.get("content-type") ?? "";
    assert.match(
      type,
      /^(application\/(problem\+)?json|text\/html|image\/svg|text\/event-st)/,
      name,
    );
  }
});

Deno.test("an unauthenticated request is answered with WWW-Authenticate (RFC 6750)", async () => {
  await using weir = await guardedLocal();
  const challenge = async (headers: Readonly<Record<string, string>>) => {
    const response = await fetch(`${weir.url}/v1/channels`, { headers });
    await response.body?.cancel();
    assert.equal(response.status, 401);
    return response.headers.get("www-authenticate");
  };
  assert.equal(await challenge({}), "Bearer");
  assert.equal(await challenge(bearer("broken")), `Bearer error="invalid_token"`);
});

Deno.test("rate limit headers give the wait in whole seconds", () => {
  const headers = (retryAfterMs: number) => {
    const quota = { policy: "tenant-bytes", limit: 10, remaining: 0, retryAfterMs };
    return problemResponse(new Problem("rate_limited", "Too much.", { quota })).headers;
  };
  assert.equal(headers(2_001).get("retry-after"), "3");
  assert.equal(headers(1).get("retry-after"), "1");
  assert.equal(headers(2_001).get("ratelimit"), `"tenant-bytes";r=0;t=3`);
  assert.match(headers(2_001).get("ratelimit-policy") ?? "", /^"tenant-bytes";q=10;/);
  const other = problemResponse(new Problem("too_many_connections", "Too many.")).headers;
  assert.equal(other.get("retry-after"), "1");
});
