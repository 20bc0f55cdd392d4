import assert from "node:assert/strict";
import { Problem } from "../../../lib/shared/problem.ts";
import { retryAfterMs } from "../../../lib/shared/retry_after.ts";

const CASES: readonly (readonly [ms: number, expected: number])[] = [
  [0, 1],
  [59_123.4, 59_124],
  [Infinity, 3_600_000],
];

Deno.test("a refused client receives whole milliseconds, for a limit and for an inbox that is full", () => {
  for (const [ms, expected] of CASES) {
    const quota = { policy: "tenant-publishes", limit: 1, remaining: 0, retryAfterMs: ms };
    assert.equal(retryAfterMs(new Problem("rate_limited", "Too many.", { quota })), expected);
    assert.equal(
      retryAfterMs(new Problem("inbox_full", "Full.", { retryAfterMs: ms })),
      expected,
    );
  }
});
