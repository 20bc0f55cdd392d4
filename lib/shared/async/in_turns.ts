import { pause } from "./delay.ts";

/**
 * Calls `work` for each of `items`: `perTurn` of them at once, and as many in each later turn of the
 * event loop, so that thousands do not keep it busy. Resolves once all calls are done.
 *
 * @throws {AggregateError} the errors of `work`, after all calls.
 */
export async function forEachInTurns<T>(
  items: Iterable<T>,
  perTurn: number,
  work: (item: T) => void,
): Promise<void> {
  const errors: unknown[] = [];
  let left = perTurn;
  for (const item of items) {
    if (left === 0) {
      await pause(0);
      left = perTurn;
    }
    left--;
    try {
      work(item);
    } catch (cause) {
      errors.push(cause);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, "work in turns has failed");
}
