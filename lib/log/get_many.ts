import { KV_LIMITS } from "../kv/limits.ts";

/**
 * Reads any number of keys, as `kv.getMany` does for up to ten. Each ten in their order are of one
 * snapshot of the store.
 */
export async function getMany<T>(
  kv: Deno.Kv,
  all: readonly Deno.KvKey[],
): Promise<readonly Deno.KvEntryMaybe<T>[]> {
  const parts: Promise<Deno.KvEntryMaybe<T>[]>[] = [];
  for (let at = 0; at < all.length; at += KV_LIMITS.getMany) {
    parts.push(kv.getMany<T[]>(all.slice(at, at + KV_LIMITS.getMany)));
  }
  return (await Promise.all(parts)).flat();
}
