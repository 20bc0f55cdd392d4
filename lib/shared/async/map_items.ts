/** Returns the items changed, each one when it is asked for. */
export function mapItems<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  change: (item: T) => R,
): Iterable<R> | AsyncIterable<R> {
  return Symbol.asyncIterator in items ? mapAsync(items, change) : map(items, change);
}

function* map<T, R>(items: Iterable<T>, change: (item: T) => R): Iterable<R> {
  for (const item of items) yield change(item);
}

async function* mapAsync<T, R>(items: AsyncIterable<T>, change: (item: T) => R): AsyncIterable<R> {
  for await (const item of items) yield change(item);
}
