import assert from "node:assert/strict";
import { retryCall } from "../../../../lib/client/core/retry_call.ts";
import { isRetryable } from "../../../../lib/client/core/errors.ts";
import { WeirError } from "../../../../lib/client/core/weir_error.ts";
import { FakeLink } from "../../../support/fake_link.ts";
import { until } from "../../../support/until.ts";

/** Makes waits so long that only another event ends them. */
const random = () => 1e6;

Deno.test("aborting ends a wait for the connection immediately", async () => {
  const link = new FakeLink();
  link.lose();
  const ended = new AbortController();
  const given = retryCall(link, () => assert.fail(), { signal: ended.signal });
  ended.abort();
  await assert.rejects(given, { name: "AbortError" });
});

Deno.test("aborting ends a wait for the next try immediately", async () => {
  const link = new FakeLink();
  const ended = new AbortController();
  let tries = 0;
  const given = retryCall(link, () => {
    tries++;
    throw new WeirError("unreachable", "Cut.");
  }, { signal: ended.signal, random });
  await until("it was tried", () => tries === 1);
  ended.abort();
  await assert.rejects(given, { name: "AbortError" });
  assert.equal(tries, 1);
});

Deno.test("a call that fails because the link closed is not retried", async () => {
  const link = new FakeLink();
  const given = retryCall(link, async () => {
    await link.close();
    throw new WeirError("unreachable", "Cut.");
  }, { random });
  await assert.rejects(given, { code: "closed" });
});

Deno.test("an invalid answer is retryable, unless its HTTP status is final", () => {
  const passes = (status?: number) =>
    isRetryable(new WeirError("bad_answer", "No Weir.", { status }));
  assert.deepEqual([undefined, 500, 502].map(passes), [true, true, true]);
  assert.deepEqual([400, 404].map(passes), [false, false]);
});
