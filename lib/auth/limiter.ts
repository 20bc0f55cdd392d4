import { Problem, type Quota } from "../shared/problem.ts";
import { RateLimiter } from "../shared/rate_limiter.ts";
import type { Caller, Requester } from "./caller.ts";
import { ConnectionLimiter, type CountedConnection } from "./connection_limiter.ts";
import { FloodLimiter } from "./flood_limiter.ts";
import { limitOf, SCOPE_WORDS, scopeKeyOf } from "./limit_scope.ts";
import { LIMIT_SCOPES, type LimitScope, type LimitTable } from "./limit_settings.ts";
import type { LimitName } from "./limits.ts";

/** Guards against clients that make the server read keys or check signatures all day. */
export const FAILED_AUTHENTICATIONS_PER_SECOND = 20;

export interface LimiterOptions {
  readonly limits: LimitTable;
  /** Receives a limit that was reached, at most once per second and tenant. */
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

/** What a request takes from each rate. */
interface Cost {
  readonly count: number;
  readonly bytes: number;
}

/**
 * Limits what callers do in one isolate: by credential, then by IP, then by tenant. A request that
 * one limit refuses counts towards none of them. Open mode is not limited.
 */
export class Limiter {
  readonly #limits: LimitTable;
  readonly #onLimited: LimiterOptions["onLimited"];
  readonly #now: () => number;
  readonly #publishing: readonly Rate[];
  readonly #subscribing: readonly Rate[];
  readonly #connections: ConnectionLimiter;
  /** Refused credentials by IP. */
  readonly #failures: RateLimiter;
  readonly #floods: FloodLimiter;
  /** Calls of `onLimited` by tenant. */
  readonly #notices: RateLimiter;

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
    this.#connections = new ConnectionLimiter({
      limits,
      onLimited: (requester, scope) => this.#notify(requester, "connections", scope),
    });
    this.#failures = new RateLimiter({ now });
    this.#floods = new FloodLimiter(now);
    this.#notices = new RateLimiter({ now });
  }

  /**
   * Counts a publish.
   *
   * @returns what is left of the caller's tightest own limit. Limits that it shares with others, of
   * its tenant or IP, are not disclosed.
   * @throws {Problem} `rate_limited`
   */
  publish(caller: Caller, events: number, bytes: number): Quota | undefined {
    return this.#take(this.#publishing, caller, { count: events, bytes });
  }

  /** Counts a subscribe, or a request that costs about as much. @throws {Problem} `rate_limited` */
  subscribe(requester: Requester, channels: number): void {
    this.#take(this.#subscribing, requester, { count: channels, bytes: 0 });
  }

  /**
   * Counts a connection until it is disposed of.
   *
   * @param replaced as in {@link ConnectionLimiter.connect}
   * @throws {Problem} `too_many_connections`
   */
  connect(requester: Requester, replaced?: CountedConnection): CountedConnection {
    return this.#connections.connect(requester, replaced);
  }

  /** Counts a socket that is to be opened. @throws {Problem} `rate_limited` after a flood */
  openSocket({ authority, ip }: Requester): void {
    if (authority?.grant.kind !== "open") this.#floods.open(ip);
  }

  /** Remembers that a socket of `ip` was closed for flooding. */
  flooded(ip: string): void {
    this.#floods.flooded(ip);
  }

  /**
   * Checks, before a credential is verified, that not too many from `ip` were refused recently.
   *
   * @throws {Problem} `rate_limited`
   */
  checkFailedAuthentications(ip: string): void {
    this.countFailedAuthentication(ip);
    this.#failures.refund(ip, FAILED_AUTHENTICATIONS_PER_SECOND);
  }

  /**
   * Counts a refused credential.
   *
   * @throws {Problem} `rate_limited` if too many from `ip` were refused.
   */
  countFailedAuthentication(ip: string): void {
    const limit = FAILED_AUTHENTICATIONS_PER_SECOND;
    const { ok, remaining, retryAfterMs } = this.#failures.take(ip, limit);
    if (ok) return;
    const policy = "address-failed-authentications";
    throw new Problem(
      "rate_limited",
      `Too many refused credentials from this IP address: at most ${limit} per second.`,
      { quota: { policy, limit, remaining, retryAfterMs } },
    );
  }

  #take(rates: readonly Rate[], requester: Requester, cost: Cost): Quota | undefined {
    const { authority } = requester;
    if (authority?.grant.kind === "open") return undefined;
    const now = this.#now();
    /** The first scope that counts the requester. */
    let own: LimitScope | undefined;
    let tightest: Quota | undefined;
    for (const rate of rates) {
      const { scope, policy } = rate;
      const key = scopeKeyOf(requester, scope);
      if (key === undefined) continue;
      const limit = limitOf(this.#limits, requester, rate);
      const taken = rate.limiter.take(key, limit, amountOf(rate, cost), now);
      const { remaining, retryAfterMs } = taken;
      if (!taken.ok) {
        this.#refund(rates.slice(0, rates.indexOf(rate)), requester, cost);
        throw this.#limited(requester, rate, { policy, limit, remaining, retryAfterMs });
      }
      own ??= scope;
      if (own !== scope || (tightest && remaining / limit >= tightest.remaining / tightest.limit)) {
        continue;
      }
      tightest = { policy, limit, remaining, retryAfterMs };
    }
    return tightest;
  }

  #refund(rates: readonly Rate[], requester: Requester, cost: Cost): void {
    for (const rate of rates) {
      const key = scopeKeyOf(requester, rate.scope);
      if (key === undefined) continue;
      rate.limiter.refund(key, limitOf(this.#limits, requester, rate), amountOf(rate, cost));
    }
  }

  #limited(requester: Requester, { scope, name }: Rate, quota: Quota): Problem {
    this.#notify(requester, name, scope);
    const { limit, retryAfterMs } = quota;
    const retry = retryAfterMs === Infinity
      ? ""
      : ` Try again in ${Math.ceil(retryAfterMs) / 1_000} s.`;
    return new Problem(
      "rate_limited",
      `This ${SCOPE_WORDS[scope]} is limited to ${limit} ${RATE_WORDS[name]} per second.${retry}`,
      { quota },
    );
  }

  #notify(requester: Requester, limit: LimitName, scope: LimitScope): void {
    if (this.#onLimited === undefined) return;
    const key = requester.authority?.tenant ?? "";
    if (this.#notices.take(key, 1).ok) this.#onLimited(requester, limit, scope);
  }
}

const RATE_WORDS: Readonly<Record<RateName, string>> = {
  publishes: "events",
  bytes: "published bytes",
  subscribes: "subscribes",
};

function amountOf({ name }: Rate, { count, bytes }: Cost): number {
  return name === "bytes" ? bytes : count;
}
