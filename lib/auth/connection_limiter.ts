import { Problem } from "../shared/problem.ts";
import type { Requester } from "./caller.ts";
import { limitOf, SCOPE_WORDS, scopeKeyOf } from "./limit_scope.ts";
import { LIMIT_SCOPES, type LimitScope, type LimitTable } from "./limit_settings.ts";

/** When a client with too many connections should try again. Nobody knows when one closes. */
const RETRY_AFTER_MS = 5_000;

interface ConnectionLimiterOptions {
  readonly limits: LimitTable;
  /** Receives each refusal. */
  readonly onLimited: (requester: Requester, scope: LimitScope) => void;
}

/** Counts open connections by credential, by IP and by tenant. */
export class ConnectionLimiter {
  readonly #options: ConnectionLimiterOptions;
  /** Open connections by the requester's key in each scope; without those that are 0. */
  readonly #counts: Readonly<Record<LimitScope, Map<string, number>>> = {
    credential: new Map(),
    address: new Map(),
    tenant: new Map(),
  };

  constructor(options: ConnectionLimiterOptions) {
    this.#options = options;
  }

  /**
   * Counts a connection until it is disposed of. Open mode is not limited.
   *
   * @param replaced the same connection as it was counted before. Its count ends and makes room for
   * the new one; if this throws, it stays.
   * @throws {Problem} `too_many_connections`
   */
  connect(requester: Requester, replaced?: CountedConnection): CountedConnection {
    const counted = requester.authority?.grant.kind === "open" ? undefined : requester;
    if (counted !== undefined) {
      for (const scope of LIMIT_SCOPES) this.#requireRoom(counted, scope, replaced);
    }
    replaced?.[Symbol.dispose]();
    if (counted !== undefined) this.#countAll(counted, 1);
    return new CountedConnection(counted, this.#countAll);
  }

  #requireRoom(
    requester: Requester,
    scope: LimitScope,
    replaced: CountedConnection | undefined,
  ): void {
    const key = scopeKeyOf(requester, scope);
    if (key === undefined) return;
    const limit = limitOf(this.#options.limits, requester, { scope, name: "connections" });
    const others = (this.#counts[scope].get(key) ?? 0) - (replaced?.countsFor(key, scope) ? 1 : 0);
    if (others < limit) return;
    this.#options.onLimited(requester, scope);
    const policy = `${scope}-connections`;
    throw new Problem(
      "too_many_connections",
      `This ${SCOPE_WORDS[scope]} may have at most ${limit} open connections. Close one of them.`,
      { quota: { policy, limit, remaining: 0, retryAfterMs: RETRY_AFTER_MS } },
    );
  }

  readonly #countAll = (requester: Requester, change: 1 | -1): void => {
    for (const scope of LIMIT_SCOPES) this.#count(requester, scope, change);
  };

  #count(requester: Requester, scope: LimitScope, change: 1 | -1): void {
    const key = scopeKeyOf(requester, scope);
    if (key === undefined) return;
    const counts = this.#counts[scope];
    const count = (counts.get(key) ?? 0) + change;
    if (count > 0) counts.set(key, count);
    else counts.delete(key);
  }
}

/** An open connection, which counts until it is disposed of. */
export class CountedConnection implements Disposable {
  /** Undefined if the connection does not count, or no longer. */
  #requester: Requester | undefined;
  readonly #count: (requester: Requester, change: -1) => void;

  constructor(
    requester: Requester | undefined,
    count: (requester: Requester, change: -1) => void,
  ) {
    this.#requester = requester;
    this.#count = count;
  }

  /** Returns whether it is counted in `scope` under `key`. */
  countsFor(key: string, scope: LimitScope): boolean {
    return this.#requester !== undefined && scopeKeyOf(this.#requester, scope) === key;
  }

  [Symbol.dispose](): void {
    const requester = this.#requester;
    this.#requester = undefined;
    if (requester !== undefined) this.#count(requester, -1);
  }
}
