import assert from "node:assert/strict";
import { backoffMs } from "../../../../lib/shared/async/backoff.ts";
import { retry, type RetryOptions } from "../../../../lib/shared/async/retry.ts";

/** Timers that record the delays and are due at once. */
function recordedDelays() {
  const delays: number[] = [];
  const timers = {
    setTimeout(callback: () => void, delayMs: number) {
      delays.push(delayMs);
      queueMicrotask(callback);
    },
    clearTimeout() {},
  };
  return { delays, timers };
}

function options(overrides: Partial<RetryOptions> = {}): RetryOptions {
  return {
    baseMs: 1,
    maxMs: 64,
    random: () => 0.5,
    maxAttempts: 10,
    isRetriable: () => true,
    ...overrides,
  };
}

Deno.test("backoffMs() doubles its bound with each failure, up to a maximum", () => {
  const bounds = (random: () => number) =>
    [0, 1, 2, 5, 6, 7, 2_000].map((failures) =>
      backoffMs(failures, { baseMs: 500, maxMs: 30_000, random })
    );
  assert.deepEqual(bounds(() => 1), [500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
  assert.deepEqual(bounds(() => 0.5), [250, 500, 1_000, 8_000, 15_000, 15_000, 15_000]);
  assert.deepEqual(bounds(() => 0), [0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("retry() returns the value of the first attempt that resolves", async () => {
  const { delays, timers } = recordedDelays();
  let attempts = 0;
  const value = await retry(() => {
    attempts++;
    return attempts < 3 ? Promise.reject(new Error("busy")) : Promise.resolve(attempts);
  }, options({ timers }));
  assert.equal(value, 3);
  assert.deepEqual(delays, [1, 2]);
});

Deno.test("retry() throws the last error once its attempts are used up", async () => {
  const { delays, timers } = recordedDelays();
  let attempts = 0;
  const busy = () => Promise.reject(new Error(`busy ${++attempts}`));
  await assert.rejects(retry(busy, options({ maxAttempts: 3, timers })), /busy 3/);
  assert.equal(delays.length, 2);
});

Deno.test("retry() throws an error that is not retriable at once", async () => {
  const { delays, timers } = recordedDelays();
  const refuse = () => Promise.reject(new Error("refused"));
  const isRetriable = (cause: unknown) => !/refused/.test(String(cause));
  await assert.rejects(retry(refuse, options({ isRetriable, timers })), /refused/);
  assert.deepEqual(delays, []);
});

Deno.test("retry() throws the signal's reason if it aborts during a delay", async () => {
  const left = new AbortController();
  let attempts = 0;
  const abort = () => left.abort(new Error("left"));
  const timers = { setTimeout: () => queueMicrotask(abort), clearTimeout() {} };
  const busy = () => {
    attempts++;
    return Promise.reject(new Error("busy"));
  };
  await assert.rejects(retry(busy, options({ timers, signal: left.signal })), /left/);
  assert.equal(attempts, 1);
});
