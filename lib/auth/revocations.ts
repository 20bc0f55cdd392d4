import type { Tenant } from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";
import type { Grant } from "./authority.ts";

/**
 * Revocations that a tenant has at once. Met: memory of every isolate, and its start, that one
 * tenant fills.
 */
export const MAX_PER_TENANT = 100_000;
/** UTF-16 units of a value. Met: the same, by long values. */
export const MAX_VALUE_LENGTH = 1_024;

/** Rows of one value that are remembered; it has several only if isolates wrote at once. */
const MAX_ROWS = 10;

export const REVOCATION_KINDS = ["jti", "sub", "kid", "tenant", "key"] as const;
export type RevocationKind = typeof REVOCATION_KINDS[number];

/** Credentials of a tenant that are no longer good. */
export interface Revocation {
  readonly tenant: Tenant;
  readonly kind: RevocationKind;
  /** The `jti`, `sub` or `kid` of tokens, the id of an API key, or the tenant's own name. */
  readonly value: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A revocation as the control journal carries it. */
export interface RevocationEntry {
  readonly type: "revocation";
  readonly revocation: Revocation;
}

interface RevocationsOptions {
  /** Makes an entry durable and has it applied in every isolate, here before it resolves. */
  readonly write: (
    entry: RevocationEntry,
    expiresAt: number | undefined,
    replaces: readonly Deno.KvKey[],
  ) => Promise<unknown>;
  /** Milliseconds between the issue and the end of a token at the most. */
  readonly maxTokenLifetimeMs: number;
  /** Milliseconds that clocks may differ. */
  readonly skewMs: number;
  /** Told of each revocation that is news, with what tells whom it concerns. */
  readonly onRevoked?: (matches: (grant: Grant) => boolean) => void;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
}

interface KnownRevocation {
  readonly revocation: Revocation;
  /** Milliseconds since 1970 from which on all that it revokes has expired; or infinite. */
  readonly expiresAt: number;
  readonly rows: readonly Deno.KvKey[];
}

/**
 * What is revoked, for all tenants, in memory. What is to be known comes by {@link apply} from the
 * control journal, which may tell things twice and in any order.
 *
 * - `jti`: the token with this id.
 * - `sub`: tokens of this subject that were issued at or before the revocation, or don't say when.
 * - `kid`: all of the tenant's tokens that this key signed, also later ones.
 * - `tenant`: the tenant's tokens and API keys that were issued at or before the revocation, or
 *   don't say when.
 * - `key`: the API key with this id.
 *
 * A token says in whole seconds when it was issued (RFC 7519 §4.1.6), rounded down. So one that was
 * issued in the second of a revocation counts as issued before it, even if that came after; who
 * wants a new one at once asks again a second later. When that was, the issuer's clock says.
 *
 * `jti` and `sub` are forgotten when whatever they revoke has expired, and `key` after as long: the
 * key itself is to be removed from its store. The others stay.
 */
export class Revocations {
  readonly #options: RevocationsOptions;
  readonly #now: () => number;
  /** What each tenant has revoked, by kind and value. */
  readonly #byTenant = new Map<Tenant, Map<string, KnownRevocation>>();
  /** Those that expire, in about that order: their lifetimes are all the same. */
  readonly #ending = new Set<KnownRevocation>();

  constructor(options: RevocationsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Resolves when it is durable and in force here; elsewhere it is within 3 s.
   *
   * @param value of no meaning for `tenant`.
   * @throws {Problem} `bad_parameter` for a value that is empty or of more than 1,024 characters;
   * `tenant_limit` where the tenant has 100,000 revocations, except for `tenant` and for one that
   * stands already; `storage_*`: then it may be in force or not, and should be tried again.
   */
  async revoke(tenant: Tenant, kind: RevocationKind, value: string): Promise<void> {
    if (kind === "tenant") value = tenant;
    if (value === "" || value.length > MAX_VALUE_LENGTH) {
      throw new Problem(
        "bad_parameter",
        `Cannot revoke ${kind} ${quote(value)}: it has 1–${MAX_VALUE_LENGTH} characters.`,
      );
    }
    this.#forgetExpired();
    const known = this.#find(tenant, kind, value);
    const count = this.#byTenant.get(tenant)?.size ?? 0;
    if (known === undefined && kind !== "tenant" && count >= MAX_PER_TENANT) {
      throw new Problem(
        "tenant_limit",
        `A tenant has ${MAX_PER_TENANT} revocations at the most; revoke the whole tenant instead.`,
      );
    }
    // What is replaced must not count for less, whichever clock it was written by.
    const at = Math.max(this.#now(), known?.revocation.at ?? 0);
    const revocation: Revocation = { tenant, kind, value, at };
    const end = this.#endOf(revocation);
    await this.#options.write(
      { type: "revocation", revocation },
      end === Infinity ? undefined : end,
      known?.rows ?? [],
    );
  }

  /**
   * Takes in what the control journal tells, and passes it on if it revokes more than before.
   *
   * @param row its key in the store, which a later revocation of the same deletes.
   */
  apply({ revocation }: RevocationEntry, row: Deno.KvKey): void {
    this.#forgetExpired();
    const { tenant, kind, value, at } = revocation;
    const known = this.#find(tenant, kind, value);
    const isNews = known === undefined || known.revocation.at < at;
    const latest = isNews ? revocation : known.revocation;
    const item: KnownRevocation = {
      revocation: latest,
      expiresAt: this.#endOf(latest),
      rows: [...known?.rows ?? [], row].slice(-MAX_ROWS),
    };
    const items = this.#byTenant.get(tenant) ?? new Map<string, KnownRevocation>();
    const replaced = items.get(nameOf(kind, value));
    if (replaced !== undefined) this.#ending.delete(replaced);
    this.#byTenant.set(tenant, items.set(nameOf(kind, value), item));
    if (item.expiresAt !== Infinity) this.#ending.add(item);
    if (isNews) this.#options.onRevoked?.((grant) => revokes(revocation, grant));
  }

  /** Never for who needs no credential. Costs a few look-ups. */
  isRevoked(grant: Grant): boolean {
    if (!this.#byTenant.has(grant.tenant)) return false;
    const { tenant, tokenId, subject, keyId } = grant;
    return this.#isRevokedBy(grant, "tenant", tenant) ||
      this.#isRevokedBy(grant, "jti", tokenId) ||
      this.#isRevokedBy(grant, "sub", subject) ||
      this.#isRevokedBy(grant, grant.kind === "key" ? "key" : "kid", keyId);
  }

  /** What the tenant has revoked and may still matter. */
  list(tenant: Tenant): readonly Revocation[] {
    this.#forgetExpired();
    const now = this.#now();
    return [...this.#byTenant.get(tenant)?.values() ?? []]
      .filter(({ expiresAt }) => expiresAt > now)
      .map(({ revocation }) => revocation);
  }

  #isRevokedBy(grant: Grant, kind: RevocationKind, value: string | undefined): boolean {
    if (value === undefined) return false;
    const item = this.#find(grant.tenant, kind, value);
    return item !== undefined && revokes(item.revocation, grant);
  }

  #find(tenant: Tenant, kind: RevocationKind, value: string): KnownRevocation | undefined {
    const item = this.#byTenant.get(tenant)?.get(nameOf(kind, value));
    return item !== undefined && item.expiresAt > this.#now() ? item : undefined;
  }

  /** A token may have been issued by a clock ahead of ours, and is good a little past its end. */
  #endOf({ kind, at }: Revocation): number {
    const { maxTokenLifetimeMs, skewMs } = this.#options;
    return kind === "kid" || kind === "tenant" ? Infinity : at + maxTokenLifetimeMs + 2 * skewMs;
  }

  #forgetExpired(): void {
    const now = this.#now();
    for (const item of this.#ending) {
      if (item.expiresAt > now) return;
      this.#ending.delete(item);
      const { tenant, kind, value } = item.revocation;
      const items = this.#byTenant.get(tenant);
      items?.delete(nameOf(kind, value));
      if (items?.size === 0) this.#byTenant.delete(tenant);
    }
  }
}

/** One string, so that it can key a Map; kinds have no colon. */
function nameOf(kind: RevocationKind, value: string): string {
  return `${kind}:${value}`;
}

function revokes({ tenant, kind, value, at }: Revocation, grant: Grant): boolean {
  if (grant.tenant !== tenant) return false;
  const isToken = grant.kind === "token";
  const isKey = grant.kind === "key";
  const isIssuedBefore = grant.issuedAt === undefined || grant.issuedAt <= at;
  switch (kind) {
    case "jti":
      return isToken && grant.tokenId === value;
    case "sub":
      return isToken && grant.subject === value && isIssuedBefore;
    case "kid":
      return isToken && grant.keyId === value;
    case "key":
      return isKey && grant.keyId === value;
    case "tenant":
      return (isToken || isKey) && isIssuedBefore;
  }
}
