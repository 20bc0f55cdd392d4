import type { Tenant } from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";
import type { Grant } from "./authority.ts";

/**
 * Revocations per tenant. Guards against one tenant that fills the memory of every isolate and slows
 * down their start.
 */
export const MAX_PER_TENANT = 100_000;
/** UTF-16 code units of a value. Guards against filling memory with long values. */
export const MAX_VALUE_LENGTH = 1_024;

/** Rows kept per value. There are several only if isolates revoke it at the same time. */
const MAX_ROWS = 10;

export const REVOCATION_KINDS = ["jti", "sub", "kid", "tenant", "key"] as const;
export type RevocationKind = typeof REVOCATION_KINDS[number];

/** Names credentials of a tenant that are no longer valid. */
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
  /** Makes an entry durable and applies it in every isolate; here, before it resolves. */
  readonly write: (
    entry: RevocationEntry,
    expiresAt: number | undefined,
    replaces: readonly Deno.KvKey[],
  ) => Promise<unknown>;
  /** The longest lifetime of a token, in ms. */
  readonly maxTokenLifetimeMs: number;
  /** How much clocks may differ, in ms. */
  readonly skewMs: number;
  /** Called for each new revocation, with a predicate for the grants that it revokes. */
  readonly onRevoked?: (matches: (grant: Grant) => boolean) => void;
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
}

interface KnownRevocation {
  readonly revocation: Revocation;
  /** Milliseconds since 1970 at which all that it revokes has expired; or Infinity. */
  readonly expiresAt: number;
  readonly rows: readonly Deno.KvKey[];
}

/**
 * Keeps the revocations of all tenants in memory. They arrive from the control journal by
 * {@link apply}, possibly twice and in any order.
 *
 * - `jti`: the token with this id.
 * - `sub`: tokens of this subject that were issued at or before the revocation, or have no `iat`.
 * - `kid`: all of the tenant's tokens that this key signed, including future ones.
 * - `tenant`: the tenant's tokens and API keys that were issued at or before the revocation, or
 *   have no issue time.
 * - `key`: the API key with this id.
 *
 * A token's `iat` is in whole seconds (RFC 7519 §4.1.6), rounded down, by the issuer's clock. A token
 * issued in the second of a revocation therefore counts as issued before it. A client that needs a
 * new token immediately must ask again a second later.
 *
 * Revocations of `jti` and `sub` are dropped once everything that they revoke has expired, and those
 * of `key` after the same time, because the key itself is also removed from its store. The others
 * stay.
 */
export class Revocations {
  readonly #options: RevocationsOptions;
  readonly #now: () => number;
  /** Each tenant's revocations, by kind and value. */
  readonly #byTenant = new Map<Tenant, Map<string, KnownRevocation>>();
  /** Revocations that expire, roughly in that order, since all have the same lifetime. */
  readonly #expiring = new Set<KnownRevocation>();

  constructor(options: RevocationsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Resolves when the revocation is durable and in force here. Other isolates follow within 3 s.
   *
   * @param value ignored for `tenant`.
   * @throws {Problem} `bad_parameter` if the value is empty or has more than 1,024 characters;
   * `tenant_limit` if the tenant has 100,000 revocations, except for `tenant` and for a repeated
   * revocation; `storage_*`: it may or may not be in force, and should be repeated.
   */
  async revoke(tenant: Tenant, kind: RevocationKind, value: string): Promise<void> {
    if (kind === "tenant") value = tenant;
    if (value === "" || value.length > MAX_VALUE_LENGTH) {
      throw new Problem(
        "bad_parameter",
        `Cannot revoke ${kind} ${quote(value)}: a value has 1–${MAX_VALUE_LENGTH} characters.`,
      );
    }
    this.#dropExpired();
    const known = this.#find(tenant, kind, value);
    const count = this.#byTenant.get(tenant)?.size ?? 0;
    if (known === undefined && kind !== "tenant" && count >= MAX_PER_TENANT) {
      throw new Problem(
        "tenant_limit",
        `A tenant has at most ${MAX_PER_TENANT} revocations. Revoke the whole tenant instead.`,
      );
    }
    // Must not be earlier than the revocation it replaces, even if that was by another clock.
    const at = Math.max(this.#now(), known?.revocation.at ?? 0);
    const revocation: Revocation = { tenant, kind, value, at };
    const expiresAt = this.#expiryOf(revocation);
    await this.#options.write(
      { type: "revocation", revocation },
      expiresAt === Infinity ? undefined : expiresAt,
      known?.rows ?? [],
    );
  }

  /**
   * Applies an entry of the control journal. Calls `onRevoked` if it revokes more than before.
   *
   * @param row its key in the store, which a later revocation of the same value deletes.
   */
  apply({ revocation }: RevocationEntry, row: Deno.KvKey): void {
    this.#dropExpired();
    const { tenant, kind, value, at } = revocation;
    const known = this.#find(tenant, kind, value);
    const isNew = known === undefined || known.revocation.at < at;
    const latest = isNew ? revocation : known.revocation;
    const updated: KnownRevocation = {
      revocation: latest,
      expiresAt: this.#expiryOf(latest),
      rows: [...known?.rows ?? [], row].slice(-MAX_ROWS),
    };
    const byKey = this.#byTenant.get(tenant) ?? new Map<string, KnownRevocation>();
    const replaced = byKey.get(mapKeyOf(kind, value));
    if (replaced !== undefined) this.#expiring.delete(replaced);
    this.#byTenant.set(tenant, byKey.set(mapKeyOf(kind, value), updated));
    if (updated.expiresAt !== Infinity) this.#expiring.add(updated);
    if (isNew) this.#options.onRevoked?.((grant) => revokes(revocation, grant));
  }

  /** Returns whether the grant is revoked, with a few map look-ups. Anonymous grants never are. */
  isRevoked(grant: Grant): boolean {
    if (!this.#byTenant.has(grant.tenant)) return false;
    const { tenant, tokenId, subject, keyId } = grant;
    return this.#isRevokedBy(grant, "tenant", tenant) ||
      this.#isRevokedBy(grant, "jti", tokenId) ||
      this.#isRevokedBy(grant, "sub", subject) ||
      this.#isRevokedBy(grant, grant.kind === "key" ? "key" : "kid", keyId);
  }

  /** Lists the tenant's revocations that may still have an effect. */
  list(tenant: Tenant): readonly Revocation[] {
    this.#dropExpired();
    const now = this.#now();
    return [...this.#byTenant.get(tenant)?.values() ?? []]
      .filter(({ expiresAt }) => expiresAt > now)
      .map(({ revocation }) => revocation);
  }

  #isRevokedBy(grant: Grant, kind: RevocationKind, value: string | undefined): boolean {
    if (value === undefined) return false;
    const found = this.#find(grant.tenant, kind, value);
    return found !== undefined && revokes(found.revocation, grant);
  }

  #find(tenant: Tenant, kind: RevocationKind, value: string): KnownRevocation | undefined {
    const found = this.#byTenant.get(tenant)?.get(mapKeyOf(kind, value));
    return found !== undefined && found.expiresAt > this.#now() ? found : undefined;
  }

  /** Allows for a token issued by a clock ahead of ours, and for the skew after its expiry. */
  #expiryOf({ kind, at }: Revocation): number {
    const { maxTokenLifetimeMs, skewMs } = this.#options;
    return kind === "kid" || kind === "tenant" ? Infinity : at + maxTokenLifetimeMs + 2 * skewMs;
  }

  #dropExpired(): void {
    const now = this.#now();
    for (const oldest of this.#expiring) {
      if (oldest.expiresAt > now) return;
      this.#expiring.delete(oldest);
      const { tenant, kind, value } = oldest.revocation;
      const byKey = this.#byTenant.get(tenant);
      byKey?.delete(mapKeyOf(kind, value));
      if (byKey?.size === 0) this.#byTenant.delete(tenant);
    }
  }
}

/** Returns a key for Maps; kinds contain no colon. */
function mapKeyOf(kind: RevocationKind, value: string): string {
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
