import { Problem, type Quota } from "../shared/problem.ts";
import type { Authority } from "./authority.ts";
import type { Caller, Requester } from "./caller.ts";
import { LIMIT_SCOPES, type LimitScope, type LimitTable } from "./limit_settings.ts";
import type { LimitName } from "./limits.ts";
import { RateLimiter } from "../shared/rate_limiter.ts";

/** Met: somebody who has the store look for made-up keys, or signatures checked, all day. */
export const FAILED_AUTHENTICATIONS_PER_SECOND = 20;

/** Milliseconds until who has too many connections is to try again: nobody knows when one ends. */
const CONNECTION_RETRY_MS = 5_000;

export interface LimiterOptions {
  readonly limits: LimitTable;
  /** Told of a limit that was reached, once a second at the most for each tenant. */
  readonly onLimited?: (requester: Requester, limit: LimitName, scope: LimitScope) => void;
  /** Milliseconds of a clock that never goes backwards. @default performance.now */
  readonly now?: () => number;
}

type RateName = Exclude<LimitName, "connections">;

interface Rate {
  readonly name: RateName;
  readonly scope: LimitScope;
  readonly policy: string;
  readonly limiter: RateLimiter;
}

/**
 * Counts what callers do, in one isolate: by credential, by IP address and by tenant, in this order.
 * What one of them refuses counts for none of them. Open mode has no limits.
 */
export class Limiter {
  readonly #limits: LimitTable;
  readonly #onLimited: LimiterOptions["onLimited"];
  readonly #now: () => number;
  readonly #publishing: readonly Rate[];
  readonly #subscribing: readonly Rate[];
  readonly #failures: RateLimiter;
  /** By tenant. */
  readonly #notices: RateLimiter;
  /** Open now; who has none is not in here. */
  readonly #connections: Readonly<Record<LimitScope, Map<string, number>>> = {
    credential: new Map(),
    address: new Map(),
    tenant: new Map(),
  };

  constructor({ limits, onLimited, now = () => performance.now() }: LimiterOptions) {
    this.#limits = limits;
    this.#onLimited = onLimited;
    this.#now = now;
    const ratesOf = (...names: readonly RateName[]) =>
      LIMIT_SCOPES.flatMap((scope) =>
        names.map((name): Rate => {
          return { name, scope, policy: `${scope}-${name}`, limiter: new RateLimiter({ now }) };
        })
      );
    this.#publishing = ratesOf("publishes", "bytes");
    this.#subscribing = ratesOf("subscribes");
    this.#failures = new RateLimiter({ now });
    this.#notices = new RateLimiter({ now });
  }

  /**
   * @returns what is left of the caller's own limits, of that which is nearer to its end. Nothing of
   * the tenant's or of others at the same IP address.
   * @throws {Problem} `rate_limited`
   */
  publish(caller: Caller, events: number, bytes: number): Quota | undefined {
    return this.#take(this.#publishing, caller, events, bytes);
  }

  /** Also counts what costs about as much. @throws {Problem} `rate_limited` */
  subscribe(requester: Requester, channels: number): void {
    this.#take(this.#subscribing, requester, channels, 0);
  }

  /**
   * Counts a connection until it is disposed of.
   *
   * @param instead the same connection as it has counted so far: that ends, and takes no room from
   * the new one. Where this throws it goes on.
   * @throws {Problem} `too_many_connections`
   */
  connect(requester: Requester, instead?: CountedConnection): CountedConnection {
    const counted = requester.authority?.grant.kind === "open" ? undefined : requester;
    if (counted !== undefined) {
      for (const scope of LIMIT_SCOPES) this.#requireRoom(counted, scope, instead);
    }
    instead?.[Symbol.dispose]();
    if (counted !== undefined) this.#countAll(counted, 1);
    return new CountedConnection(counted, this.#countAll);
  }

  /**
   * Looks, before a credential is verified, whether too many from `ip` were refused lately.
   *
   * @throws {Problem} `rate_limited`
   */
  checkFailedAuthentications(ip: string): void {
    this.countFailedAuthentication(ip);
    this.#failures.refund(ip, FAILED_AUTHENTICATIONS_PER_SECOND);
  }

  /**
   * Counts a credential that was refused.
   *
   * @throws {Problem} `rate_limited` where it was one of too many from `ip`.
   */
  countFailedAuthentication(ip: string): void {
    const limit = FAILED_AUTHENTICATIONS_PER_SECOND;
    const { ok, remaining, retryAfter } = this.#failures.take(ip, limit);
    if (ok) return;
    const policy = "address-failed-authentications";
    throw new Problem(
      "rate_limited",
      `Too many credentials from this IP address were refused: ${limit} a second are the most.`,
      { quota: { policy, limit, remaining, retryAfter } },
    );
  }

  #take(
    rates: readonly Rate[],
    requester: Requester,
    count: number,
    bytes: number,
  ): Quota | undefined {
    const { authority } = requester;
    if (authority?.grant.kind === "open") return undefined;
    const now = this.#now();
    let own: LimitScope | undefined;
    let nearest: Quota | undefined;
    for (const rate of rates) {
      const { scope, name, policy } = rate;
      const key = keyOf(requester, scope);
      if (key === undefined) continue;
      const limit = this.#limitOf(authority, scope, name);
      const taken = rate.limiter.take(key, limit, name === "bytes" ? bytes : count, now);
      const { remaining, retryAfter } = taken;
      if (!taken.ok) {
        this.#giveBack(rates, rate, requester, count, bytes);
        throw this.#limited(requester, rate, { policy, limit, remaining, retryAfter });
      }
      own ??= scope;
      if (own !== scope || (nearest && remaining / limit >= nearest.remaining / nearest.limit)) {
        continue;
      }
      nearest = { policy, limit, remaining, retryAfter };
    }
    return nearest;
  }

  #giveBack(
    rates: readonly Rate[],
    refused: Rate,
    requester: Requester,
    count: number,
    bytes: number,
  ): void {
    for (const rate of rates) {
      if (rate === refused) return;
      const { scope, name, limiter } = rate;
      const key = keyOf(requester, scope);
      if (key === undefined) continue;
      const limit = this.#limitOf(requester.authority, scope, name);
      limiter.refund(key, limit, name === "bytes" ? bytes : count);
    }
  }

  #limited(requester: Requester, { scope, name }: Rate, quota: Quota): Problem {
    this.#notify(requester, name, scope);
    const { limit, retryAfter } = quota;
    const then = retryAfter === Infinity ? "" : `: try again in ${Math.ceil(retryAfter) / 1_000} s`;
    return new Problem(
      "rate_limited",
      `This ${scope} is limited to ${limit} ${WORDS[name]} a second${then}.`,
      { quota },
    );
  }

  /** @throws {Problem} `too_many_connections` */
  #requireRoom(
    requester: Requester,
    scope: LimitScope,
    instead: CountedConnection | undefined,
  ): void {
    const key = keyOf(requester, scope);
    if (key === undefined) return;
    const limit = this.#limitOf(requester.authority, scope, "connections");
    const others = (this.#connections[scope].get(key) ?? 0) -
      (instead?.countsFor(key, scope) ? 1 : 0);
    if (others < limit) return;
    this.#notify(requester, "connections", scope);
    throw new Problem(
      "too_many_connections",
      `This ${scope} is limited to ${limit} open connections: end one of them.`,
      {
        quota: {
          policy: `${scope}-connections`,
          limit,
          remaining: 0,
          retryAfter: CONNECTION_RETRY_MS,
        },
      },
    );
  }

  readonly #countAll = (requester: Requester, change: 1 | -1): void => {
    for (const scope of LIMIT_SCOPES) this.#count(requester, scope, change);
  };

  #count(requester: Requester, scope: LimitScope, change: 1 | -1): void {
    const key = keyOf(requester, scope);
    if (key === undefined) return;
    const counts = this.#connections[scope];
    const count = (counts.get(key) ?? 0) + change;
    if (count > 0) counts.set(key, count);
    else counts.delete(key);
  }

  #limitOf(authority: Authority | undefined, scope: LimitScope, name: LimitName): number {
    const own = scope === "credential" ? authority?.grant.scope.limits[name] : undefined;
    return own ?? this.#limits[scope][name];
  }

  #notify(requester: Requester, limit: LimitName, scope: LimitScope): void {
    if (this.#onLimited === undefined) return;
    const key = requester.authority?.tenant ?? "";
    if (this.#notices.take(key, 1).ok) this.#onLimited(requester, limit, scope);
  }
}

/** An open connection, which counts until it is disposed of. */
export class CountedConnection implements Disposable {
  /** None: it doesn't count, or not any more. */
  #requester: Requester | undefined;
  readonly #count: (requester: Requester, change: -1) => void;

  constructor(requester: Requester | undefined, count: (requester: Requester, change: -1) => void) {
    this.#requester = requester;
    this.#count = count;
  }

  /** Whether it is one of those that are counted by `key`. */
  countsFor(key: string, scope: LimitScope): boolean {
    return this.#requester !== undefined && keyOf(this.#requester, scope) === key;
  }

  [Symbol.dispose](): void {
    const requester = this.#requester;
    this.#requester = undefined;
    if (requester !== undefined) this.#count(requester, -1);
  }
}

const WORDS: Readonly<Record<RateName, string>> = {
  publishes: "events",
  bytes: "bytes published",
  subscribes: "subscribes",
};

/** The key by which `visitor` is counted in `scope`; undefined: is not. */
function keyOf({ authority, ip }: Requester, scope: LimitScope): string | undefined {
  switch (scope) {
    case "credential":
      // That of anonymous callers is everybody's: who uses it up would shut out all others.
      return authority?.grant.kind === "anonymous" ? undefined : authority?.credentialId;
    case "address":
      return ip === "" ? undefined : ip;
    case "tenant":
      return authority?.tenant;
  }
}
