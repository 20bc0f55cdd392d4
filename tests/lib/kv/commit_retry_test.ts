import assert from "node:assert/strict";
import {
  CONFLICT_TIMEOUT_MS,
  ConflictError,
  retryConflicts,
  retryLocked,
} from "../../../lib/kv/commit_retry.ts";
import { Problem } from "../../../lib/shared/problem.ts";
import { skippedTime } from "../../support/skipped_time.ts";

Deno.test("retryLocked() repeats what the lock of the file kept from succeeding", async () => {
  let attempts = 0;
  const value = await retryLocked(() => {
    attempts++;
    return attempts < 3 ? Promise.reject(new Error("database is locked")) : Promise.resolve("done");
  });
  assert.equal(value, "done");
});

Deno.test("retryLocked() passes on other errors at once", async () => {
  let attempts = 0;
  const work = () => Promise.reject(new Error(`disk is full ${++attempts}`));
  await assert.rejects(retryLocked(work), /disk is full 1/);
});

Deno.test("retryConflicts() repeats work that found a changed row", async () => {
  let attempts = 0;
  const value = await retryConflicts(() => {
    attempts++;
    return attempts < 3 ? Promise.reject(new ConflictError()) : Promise.resolve("done");
  }, "Too many changes.");
  assert.equal(value, "done");
});

Deno.test("retryConflicts() throws `contended` once its time is over, however many attempts it took", async () => {
  using time = skippedTime();
  let attempts = 0;
  const work = () => {
    if (++attempts % 100 === 0) time.skip(CONFLICT_TIMEOUT_MS / 3);
    return Promise.reject(new ConflictError());
  };
  await assert.rejects(
    retryConflicts(work, "Too many changes.", () => 0),
    (cause) =>
      cause instanceof Problem && cause.code === "contended" &&
      cause.detail === "Too many changes.",
  );
  assert.ok(attempts > 200 && attempts <= 300, `${attempts} attempts`);
});

Deno.test("retryConflicts() passes on other errors at once", async () => {
  let attempts = 0;
  const work = () => Promise.reject(new Error(`no disk ${++attempts}`));
  await assert.rejects(retryConflicts(work, "Too many changes."), /no disk 1/);
});
