import assert from "node:assert/strict";
import { deadline, isTimeoutError, waitAtMost } from "../../../../lib/shared/async/deadline.ts";
import { FakeClock } from "../../../support/clock.ts";

/** Runs `body` on fake timers, and fails if it leaves one behind. */
async function onFakeTimers(
  body: (pass: (durationMs: number) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  await body((durationMs) => clock.advanceAsync(durationMs));
  assert.equal(clock.timers, 0);
}

const never = () => new Promise<never>(() => {});

Deno.test("deadline() resolves with the work's value", () =>
  onFakeTimers(async () => {
    assert.equal(await deadline(Promise.resolve(7), 1_000), 7);
  }));

Deno.test("deadline() rejects with the work's error", () =>
  onFakeTimers(async () => {
    await assert.rejects(deadline(Promise.reject(new Error("refused")), 1_000), /refused/);
  }));

Deno.test("deadline() rejects with a TimeoutError once the time has passed, and not before", () =>
  onFakeTimers(async (pass) => {
    const causes: unknown[] = [];
    const ended = deadline(never(), 1_000).catch((cause) => void causes.push(cause));
    await pass(999);
    assert.deepEqual(causes, []);
    await pass(1);
    await ended;
    assert.ok(isTimeoutError(causes[0]));
    assert.match(String(causes[0]), /No result within 1000 ms/);
  }));

Deno.test("deadline() rejects with the signal's reason", () =>
  onFakeTimers(async () => {
    const left = new AbortController();
    const ended = deadline(never(), 1_000, left);
    left.abort(new Error("left"));
    await assert.rejects(ended, /left/);
    await assert.rejects(deadline(never(), 1_000, left), /left/);
  }));

Deno.test("deadline() uses the timers that it is given", async () => {
  const callbacks: (() => void)[] = [];
  const timers = {
    setTimeout: (callback: () => void) => callbacks.push(callback),
    clearTimeout: () => {},
  };
  const ended = deadline(never(), 1_000, { timers });
  callbacks[0]?.();
  await assert.rejects(ended, isTimeoutError);
});

Deno.test("isTimeoutError() recognizes the error of AbortSignal.timeout()", async () => {
  const signal = AbortSignal.timeout(0);
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  assert.ok(isTimeoutError(signal.reason));
  assert.ok(!isTimeoutError(new DOMException("left", "AbortError")));
  assert.ok(!isTimeoutError(new Error("TimeoutError")));
});

Deno.test("waitAtMost() resolves with the work or once the time has passed", () =>
  onFakeTimers(async (pass) => {
    await waitAtMost(Promise.resolve(), 1_000);
    let isOver = false;
    const ended = waitAtMost(never(), 1_000).then(() => isOver = true);
    await pass(999);
    assert.ok(!isOver);
    await pass(1);
    await ended;
  }));

Deno.test("waitAtMost() rejects with the work's error", () =>
  onFakeTimers(async () => {
    await assert.rejects(waitAtMost(Promise.reject(new Error("refused")), 1_000), /refused/);
  }));
