/** A monotonic clock that runs ahead by what the test skips, until it is disposed of. */
export interface SkippedTime extends Disposable {
  skip(ms: number): void;
}

/** Replaces `performance.now()`, for tests of timeouts that don't wait. Timers are not affected. */
export function skippedTime(): SkippedTime {
  const { now } = performance;
  let skippedMs = 0;
  Object.assign(performance, { now: () => now.call(performance) + skippedMs });
  return {
    skip(ms) {
      skippedMs += ms;
    },
    [Symbol.dispose]: () => void Object.assign(performance, { now }),
  };
}
