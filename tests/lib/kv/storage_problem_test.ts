import assert from "node:assert/strict";
import {
  isOutage,
  isTooLarge,
  storageProblem,
  withStoreTimeout,
} from "../../../lib/kv/storage_problem.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { FakeClock } from "../../support/clock.ts";

Deno.test("storageProblem() recognizes the errors of the store", () => {
  const cases = [
    [new Error("attempt to write a readonly database"), "storage_read_only"],
    [new Error("database or disk is full"), "storage_full"],
    [new Error("disk I/O error"), "storage_full"],
    [new Error("No space left on device (os error 28)"), "storage_full"],
    [new TypeError("Value too large (max 65536 bytes)"), "internal"],
    [new Error("connection refused"), "storage_unavailable"],
    ["unknown", "storage_unavailable"],
  ] as const;
  for (const [cause, code] of cases) {
    const problem = storageProblem(cause);
    assert.equal(problem.code, code, String(cause));
    assert.equal(problem.cause, cause);
    assert.equal(isOutage(problem), code === "storage_unavailable");
    assert.equal(isTooLarge(cause), code === "internal");
  }
});

Deno.test("storageProblem() returns a Problem unchanged", () => {
  const problem = new Problem("contended", "Too many changes.");
  assert.equal(storageProblem(problem), problem);
});

Deno.test("withStoreTimeout() passes on results and converts errors", async () => {
  assert.equal(await withStoreTimeout(Promise.resolve(7)), 7);
  const full = Promise.reject(new Error("database or disk is full"));
  await assert.rejects(withStoreTimeout(full), { code: "storage_full" });
});

Deno.test("withStoreTimeout() gives up after 5 s", async () => {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  const ended = withStoreTimeout(new Promise(() => {}));
  clock.advance(4_999);
  assert.equal(clock.timers, 1);
  clock.advance(1);
  await assert.rejects(ended, { code: "storage_unavailable" });
});
