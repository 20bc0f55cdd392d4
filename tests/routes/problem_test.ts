import assert from "node:assert/strict";
import { Problem, type Quota } from "../../lib/shared/problem.ts";
import { problemResponse, rateLimitHeaders } from "../../routes/problem.ts";

const QUOTA: Quota = {
  policy: "credential-publishes",
  limit: 2_000,
  remaining: 0,
  retryAfterMs: 1_200,
};

Deno.test("a reached limit is answered with RateLimit headers and Retry-After", async () => {
  const response = problemResponse(new Problem("rate_limited", "Too many.", { quota: QUOTA }));
  assert.equal(response.status, 429);
  assert.equal(response.headers.get("retry-after"), "2");
  assert.equal(response.headers.get("ratelimit"), `"credential-publishes";r=0;t=2`);
  assert.equal(response.headers.get("ratelimit-policy"), `"credential-publishes";q=2000;w=1`);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.deepEqual(await response.json(), {
    type: "about:blank",
    title: "Too Many Requests",
    status: 429,
    code: "rate_limited",
    detail: "Too many.",
  });
});

Deno.test("Retry-After is in whole seconds, from 1 to an hour", () => {
  for (
    const [retryAfterMs, seconds] of [[0, 1], [1, 1], [1_000, 1], [1_001, 2], [Infinity, 3_600]]
  ) {
    if (retryAfterMs === undefined) throw new Error("each has a time");
    const quota = { ...QUOTA, retryAfterMs };
    const { headers } = problemResponse(new Problem("rate_limited", "", { quota }));
    assert.equal(headers.get("retry-after"), String(seconds));
    assert.equal(headers.get("ratelimit"), `"credential-publishes";r=0;t=${seconds}`);
  }
});

Deno.test("RateLimit-Policy names the unit of a limit of bytes or connections", () => {
  const policyOf = (policy: string) => rateLimitHeaders({ ...QUOTA, policy })["RateLimit-Policy"];
  assert.equal(policyOf("tenant-bytes"), `"tenant-bytes";q=2000;qu="content-bytes";w=1`);
  assert.equal(
    policyOf("address-connections"),
    `"address-connections";q=2000;qu="concurrent-requests"`,
  );
});

Deno.test("a refusal without a limit has no RateLimit headers, and Retry-After only if it is retryable", () => {
  for (const [code, seconds] of [["too_many_connections", "1"], ["overloaded", "1"]] as const) {
    const { headers } = problemResponse(new Problem(code, ""));
    assert.deepEqual([headers.get("retry-after"), headers.get("ratelimit")], [seconds, null]);
  }
  assert.equal(problemResponse(new Problem("forbidden", "")).headers.get("retry-after"), null);
});
