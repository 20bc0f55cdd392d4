import { backoffMs, type BackoffOptions } from "./backoff.ts";
import { delay, type DelayOptions } from "./delay.ts";

export interface RetryOptions extends BackoffOptions, DelayOptions {
  /** How often the work is done at most, counting the first time. */
  readonly maxAttempts: number;
  /** Whether another attempt can succeed after this error. */
  readonly isRetriable: (cause: unknown) => boolean;
}

/**
 * Does `work` until it resolves, with a growing random delay after each failed attempt
 * ({@link backoffMs}).
 *
 * @throws the error of the last attempt, or the first error that is not retriable.
 * @throws the reason of `signal` if it aborts during a delay.
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let failures = 1;; failures++) {
    try {
      return await work();
    } catch (cause) {
      if (failures >= options.maxAttempts || !options.isRetriable(cause)) throw cause;
    }
    await delay(backoffMs(failures, options), options);
  }
}
