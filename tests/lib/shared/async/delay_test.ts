import assert from "node:assert/strict";
import { delay, pause } from "../../../../lib/shared/async/delay.ts";
import { FakeClock } from "../../../support/clock.ts";

async function onFakeTimers(
  body: (pass: (durationMs: number) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  using clock = new FakeClock({ replaces: ["timeouts"] });
  await body((durationMs) => clock.advanceAsync(durationMs));
  assert.equal(clock.timers, 0);
}

for (const wait of [delay, pause]) {
  Deno.test(`${wait.name}() resolves once the time has passed, and not before`, () =>
    onFakeTimers(async (pass) => {
      let isOver = false;
      const ended = wait(1_000).then(() => isOver = true);
      await pass(999);
      assert.ok(!isOver);
      await pass(1);
      await ended;
    }));
}

Deno.test("delay() rejects with the signal's reason", () =>
  onFakeTimers(async () => {
    const left = new AbortController();
    const ended = delay(1_000, left);
    left.abort(new Error("left"));
    await assert.rejects(ended, /left/);
    await assert.rejects(delay(1_000, left), /left/);
  }));

Deno.test("pause() resolves as soon as the signal aborts", () =>
  onFakeTimers(async () => {
    const woken = new AbortController();
    const ended = pause(1_000, woken);
    woken.abort();
    await ended;
    await pause(1_000, woken);
  }));

Deno.test("pause() uses the timers that it is given", async () => {
  const callbacks: (() => void)[] = [];
  const timers = {
    setTimeout: (callback: () => void) => callbacks.push(callback),
    clearTimeout: () => {},
  };
  const ended = pause(1_000, { timers });
  callbacks[0]?.();
  await ended;
});
