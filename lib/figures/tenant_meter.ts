import { type ChannelKey, type Tenant, tenantOf } from "../shared/channel.ts";

/** What was counted of a tenant since the isolate started. */
export interface TenantCounts {
  publishes: number;
  events: number;
  deliveries: number;
}

/** Counts together those tenants that have no figures of their own. No tenant has this name. */
const OTHER_TENANTS = "$other";

/**
 * Counts what is done for tenants. Only those that are named have figures of their own: this bounds
 * their number, and is the same in all isolates and processes.
 */
export class TenantMeter {
  readonly #others = nothing();
  readonly #counts: ReadonlyMap<Tenant, TenantCounts>;

  constructor(tenants: readonly Tenant[]) {
    this.#counts = new Map(tenants.map((tenant) => [tenant, nothing()]));
  }

  /** Returns the counts for a channel's tenant, to be added to. */
  of(channelKey: ChannelKey): TenantCounts {
    return this.#counts.get(tenantOf(channelKey)) ?? this.#others;
  }

  /** Returns the counts by the tenant's name. */
  totals(): Readonly<Record<string, TenantCounts>> {
    const named = [...this.#counts].map(([tenant, counts]) => [tenant, { ...counts }] as const);
    return Object.fromEntries([...named, [OTHER_TENANTS, { ...this.#others }]]);
  }
}

function nothing(): TenantCounts {
  return { publishes: 0, events: 0, deliveries: 0 };
}
