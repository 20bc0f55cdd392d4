/** The timers of a clock. */
interface Timers {
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface DelayOptions {
  /** Ends the delay early. */
  readonly signal?: AbortSignal | undefined;
  /** Timers of another clock. @default globalThis */
  readonly timers?: Timers | undefined;
}

/**
 * Resolves after `delayMs`.
 *
 * @throws the reason of `signal` as soon as it aborts.
 */
export async function delay(delayMs: number, options: DelayOptions = {}): Promise<void> {
  await pause(delayMs, options);
  options.signal?.throwIfAborted();
}

/**
 * Resolves after `delayMs`, or as soon as `signal` aborts. For loops that check the signal
 * themselves. Never rejects.
 */
export function pause(
  delayMs: number,
  { signal, timers = globalThis }: DelayOptions = {},
): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      timers.clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = timers.setTimeout(end, delayMs);
    signal?.addEventListener("abort", end);
  });
}
