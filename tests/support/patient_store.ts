import { STORE_TIMEOUT_MS } from "../../lib/kv/limits.ts";

/**
 * Lets callers wait for the store without a timeout until it is disposed of: for tests that give the
 * store much to do, on a machine of any speed.
 */
export function patientStore(): Disposable {
  const { setTimeout } = globalThis;
  const { now } = performance;
  const start = performance.now();
  const patient = (callback: () => void, ms?: number) =>
    ms === STORE_TIMEOUT_MS ? undefined : setTimeout(callback, ms);
  Object.assign(globalThis, { setTimeout: patient });
  Object.assign(performance, { now: () => start });
  return {
    [Symbol.dispose]() {
      Object.assign(globalThis, { setTimeout });
      Object.assign(performance, { now });
    },
  };
}
