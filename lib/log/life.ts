import { keys } from "../kv/keys.ts";
import { type Channel, type ChannelKey, channelKeyOf, type Tenant } from "../shared/channel.ts";
import type { HeadEntry, StoredHead } from "./head.ts";
import { getMany } from "./get_many.ts";

/** How long the epoch of a deleted channel is kept. Clocks of machines differ by less. */
const TOMBSTONE_MS = 24 * 60 * 60 * 1_000;

/**
 * The value of a channel's life: the head of a deleted channel, or 0 since it exists again.
 *
 * Only channels that exist have the row `head`, so that lists don't read those that were deleted.
 * Every commit that creates or deletes a channel writes its life, so one check of that row makes
 * sure that a channel which did not exist still doesn't, and was not created and deleted meanwhile.
 */
type Life = StoredHead | 0;

/** Adds to a commit that a channel exists from now on. The commit also sets its head. */
export function beginLife(atomic: Deno.AtomicOperation, channelKey: ChannelKey): void {
  atomic.set(keys.life(channelKey), 0 satisfies Life);
}

/** Adds to a commit that a channel no longer exists. `head` is that of the next life. */
export function endLife(
  atomic: Deno.AtomicOperation,
  channelKey: ChannelKey,
  head: StoredHead,
): void {
  atomic.delete(keys.head(channelKey))
    .set(keys.life(channelKey), head satisfies Life, { expireIn: TOMBSTONE_MS });
}

/** Lists the lives of deleted channels, whose epochs are reserved. */
export async function* deletedLives(
  kv: Deno.Kv,
): AsyncGenerator<readonly [ChannelKey, StoredHead], void, void> {
  for await (const { key, value } of kv.list<Life>({ prefix: keys.lives() })) {
    const [, tenant, channel] = key;
    if (value !== 0) yield [channelKeyOf(tenant as Tenant, channel as Channel), value];
  }
}

/** Returns the state of a channel that has never existed. */
export function withoutLife(channelKey: ChannelKey): HeadEntry {
  return { head: null, row: { key: keys.life(channelKey), versionstamp: null } };
}

/** Reads the head of a channel, also of a deleted one. */
export async function readHead(kv: Deno.Kv, channelKey: ChannelKey): Promise<HeadEntry> {
  const [entry] = await readHeads(kv, [channelKey]);
  return entry ?? withoutLife(channelKey);
}

/** Reads only the head, also of a deleted channel. Takes one row if the channel exists. */
export async function readHeadValue(
  kv: Deno.Kv,
  channelKey: ChannelKey,
): Promise<StoredHead | null> {
  const { value } = await kv.get<StoredHead>(keys.head(channelKey));
  return value ?? (await readHead(kv, channelKey)).head;
}

/** Reads heads, also those of deleted channels, in the order of `channelKeys`. */
export async function readHeads(
  kv: Deno.Kv,
  channelKeys: readonly ChannelKey[],
): Promise<readonly HeadEntry[]> {
  // The two rows of a channel are in the same call, which reads one snapshot of the store.
  const rows = await getMany<StoredHead | 0>(
    kv,
    channelKeys.flatMap((channelKey) => [keys.head(channelKey), keys.life(channelKey)]),
  );
  return channelKeys.map((channelKey, i) => {
    const head = rows[2 * i];
    const life = rows[2 * i + 1];
    // Versions before 0.1.0 kept the heads of deleted channels there, too.
    if (head !== undefined && head.value !== null && head.value !== 0) {
      const { key, value, versionstamp } = head;
      return { head: value, row: { key, versionstamp } };
    }
    if (life === undefined) return withoutLife(channelKey);
    const { key, value, versionstamp } = life;
    return { head: value === 0 ? null : value, row: { key, versionstamp } };
  });
}
