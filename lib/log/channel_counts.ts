import { keys } from "../kv/keys.ts";
import {
  type ChannelKey,
  channelOf,
  channelOfPresence,
  type Tenant,
  tenantOf,
} from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { getMany } from "./get_many.ts";
import type { HeadCache } from "./head_cache.ts";
import type { StoredHead } from "./head.ts";

/** How long a count is used after it was read. */
const FRESH_MS = 1_000;

interface CachedCount {
  value: number;
  readonly readAt: number;
}

/**
 * Limits the number of channels of each tenant. The commits that create and delete channels keep the
 * sum in the store. A count here is at most a second old, so isolates that create channels at the
 * same time may exceed the limit a little.
 */
export class ChannelCounts {
  readonly #kv: Deno.Kv;
  readonly #max: number;
  readonly #now: () => number;
  /** Counts of tenants that have created channels recently. */
  #counts = new Map<Tenant, CachedCount>();

  /** @param max channels of a tenant, not counting those of the system. */
  constructor(kv: Deno.Kv, max: number, now: () => number) {
    this.#kv = kv;
    this.#max = max;
    this.#now = now;
  }

  /** Reads the counts of the tenants that get new channels. */
  async load(channelKeys: Iterable<ChannelKey>, heads: HeadCache): Promise<void> {
    if (this.#max === Infinity) return;
    const now = this.#now();
    const stale = new Set<Tenant>();
    for (const channelKey of channelKeys) {
      const tenant = tenantOf(channelKey);
      const known = this.#counts.get(tenant);
      const isFresh = known !== undefined && Math.abs(now - known.readAt) < FRESH_MS;
      if (!isFresh && isNew(heads.peek(channelKey)?.head)) stale.add(tenant);
    }
    if (stale.size === 0) return;
    const tenants = [...stale];
    const entries = await getMany<Deno.KvU64>(this.#kv, tenants.map(keys.channelCount));
    this.#counts = new Map([...this.#counts].filter(([, { readAt }]) => now - readAt < FRESH_MS));
    tenants.forEach((tenant, i) => {
      // A store that is older than the counts may have a sum below zero.
      const value = Number(BigInt.asIntN(64, entries[i]?.value?.value ?? 0n));
      this.#counts.set(tenant, { value, readAt: now });
    });
  }

  /** Forgets the counts of their tenants, since what was added may not have been committed. */
  forget(channelKeys: readonly ChannelKey[]): void {
    for (const channelKey of channelKeys) this.#counts.delete(tenantOf(channelKey));
  }

  /**
   * Counts channels that a commit is about to create: all of them, or none if it throws.
   *
   * @throws {Problem} `tenant_limit`
   */
  add(channelKeys: readonly ChannelKey[]): void {
    const added = [...countedByTenant(channelKeys)].flatMap(([tenant, more]) => {
      const count = this.#counts.get(tenant);
      return count === undefined ? [] : [{ count, more }];
    });
    if (added.some(({ count, more }) => count.value + more > this.#max)) {
      throw new Problem(
        "tenant_limit",
        `This tenant has reached its limit of ${this.#max} channels. Delete some first.`,
      );
    }
    for (const { count, more } of added) count.value += more;
  }
}

/** Returns whether a commit to this head creates the channel. */
export function isNew(head: StoredHead | null | undefined): boolean {
  return head === null || head === undefined || head.deleted;
}

/** Adds the created (1) or deleted (-1) channels to the sums of their tenants. */
export function sumChannels(
  atomic: Deno.AtomicOperation,
  channelKeys: readonly ChannelKey[],
  change: 1 | -1,
): void {
  for (const [tenant, count] of countedByTenant(channelKeys)) {
    // The store's sum wraps around, so adding the two's complement subtracts.
    atomic.sum(keys.channelCount(tenant), BigInt.asUintN(64, BigInt(change * count)));
  }
}

/**
 * Counts channels by tenant. Channels of the system do not count, except presence channels: clients
 * cause their creation.
 */
function countedByTenant(channelKeys: readonly ChannelKey[]): ReadonlyMap<Tenant, number> {
  const counts = new Map<Tenant, number>();
  for (const channelKey of channelKeys) {
    const channel = channelOf(channelKey);
    if (channel.startsWith("$") && channelOfPresence(channel) === undefined) continue;
    const tenant = tenantOf(channelKey);
    counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
  }
  return counts;
}
