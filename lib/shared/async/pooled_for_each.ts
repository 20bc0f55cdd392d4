/**
 * Calls `work` for each of `items`, up to `poolLimit` at a time, and resolves once all have
 * resolved.
 *
 * @throws the first error of `work`. Calls under way continue; handle errors in `work` if the
 * remaining items must not be skipped.
 */
export async function pooledForEach<T>(
  poolLimit: number,
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const remaining = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = remaining.next(); !next.done; next = remaining.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: poolLimit }, worker));
}
