import assert from "node:assert/strict";
import { Problem, type Quota } from "../../lib/shared/problem.ts";
import { problemResponse, rateLimitHeaders } from "../../routes/problem.ts";

const QUOTA: Quota = {
  policy: "credential-publishes",
  limit: 2_000,
  remaining: 0,
  retryAfterMs: 1_200,
};

Deno.test("a limit that was reached is answered with its fields and when to come back", async () => {
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

Deno.test("when to come back is a whole number of seconds, from 1 to an hour", () => {
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

Deno.test("a limit of bytes or of connections says what it counts", () => {
  const policyOf = (policy: string) => rateLimitHeaders({ ...QUOTA, policy })["RateLimit-Policy"];
  assert.equal(policyOf("tenant-bytes"), `"tenant-bytes";q=2000;qu="content-bytes";w=1`);
  assert.equal(
    policyOf("address-connections"),
    `"address-connections";q=2000;qu="concurrent-requests"`,
  );
});

Deno.test("a refusal without a limit has no fields of one, but when to come back if it may", () => {
  for (const [code, seconds] of [["too_many_connections", "1"], ["overloaded", "1"]] as const) {
    const { headers } = problemResponse(new Problem(code, ""));
    assert.deepEqual([headers.get("retry-after"), headers.get("ratelimit")], [seconds, null]);
  }
  assert.equal(problemResponse(new Problem("forbidden", "")).headers.get("retry-after"), null);
});
