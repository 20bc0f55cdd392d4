import { keys } from "../kv/keys.ts";
import {
  type ChannelKey,
  channelOf,
  type Tenant,
  tenantOf,
  watchedChannel,
} from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { getMany, type HeadCache } from "./head_cache.ts";
import type { StoredHead } from "./head.ts";

/** How long a count that was read is good for, in ms. */
const FRESH_MS = 1_000;

interface CachedCount {
  value: number;
  readonly readAt: number;
}

/**
 * How many channels each tenant has. The commits that make and delete them keep the sum; what is
 * read is a second old at the most, so isolates at it at once may overshoot a limit by a little.
 */
export class ChannelCounts {
  readonly #kv: Deno.Kv;
  readonly #max: number;
  readonly #now: () => number;
  /** Of tenants that made channels lately. */
  #counts = new Map<Tenant, CachedCount>();

  /** @param max channels that a tenant may have, beside the system's own. */
  constructor(kv: Deno.Kv, max: number, now: () => number) {
    this.#kv = kv;
    this.#max = max;
    this.#now = now;
  }

  /** Reads the counts of those tenants that are to get new channels. */
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
      // A store from before counts were kept may have come below zero.
      const value = Number(BigInt.asIntN(64, entries[i]?.value?.value ?? 0n));
      this.#counts.set(tenant, { value, readAt: now });
    });
  }

  /** Has the counts of their tenants read again: what was added may not have come about. */
  forget(channelKeys: readonly ChannelKey[]): void {
    for (const channelKey of channelKeys) this.#counts.delete(tenantOf(channelKey));
  }

  /** Counts channels that are about to be made, or none. @throws {Problem} `tenant_limit` */
  add(channelKeys: readonly ChannelKey[]): void {
    const added = [...countedByTenant(channelKeys)].flatMap(([tenant, more]) => {
      const count = this.#counts.get(tenant);
      return count === undefined ? [] : [{ count, more }];
    });
    if (added.some(({ count, more }) => count.value + more > this.#max)) {
      throw new Problem(
        "tenant_limit",
        `This tenant may have ${this.#max} channels, and no more: delete some.`,
      );
    }
    for (const { count, more } of added) count.value += more;
  }
}

/** Whether a commit to this head makes the channel. */
export function isNew(head: StoredHead | null | undefined): boolean {
  return head === null || head === undefined || head.deleted;
}

/** Adds to `atomic` that channels of each tenant come (or go). */
export function sumChannels(
  atomic: Deno.AtomicOperation,
  channelKeys: readonly ChannelKey[],
  change: 1 | -1,
): void {
  for (const [tenant, count] of countedByTenant(channelKeys)) {
    // The store's sum wraps, so two's complement takes away.
    atomic.sum(keys.channelCount(tenant), BigInt.asUintN(64, BigInt(change * count)));
  }
}

/**
 * How many of them each tenant has. The system's own are nobody's, but for those that a tenant's
 * clients bring about.
 */
function countedByTenant(channelKeys: readonly ChannelKey[]): ReadonlyMap<Tenant, number> {
  const counts = new Map<Tenant, number>();
  for (const channelKey of channelKeys) {
    const channel = channelOf(channelKey);
    if (channel.startsWith("$") && watchedChannel(channel) === undefined) continue;
    const tenant = tenantOf(channelKey);
    counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
  }
  return counts;
}
