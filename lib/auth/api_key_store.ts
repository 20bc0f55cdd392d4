import { timingSafeEqual } from "node:crypto";
import { retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import type { Tenant } from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";
import { hashApiKey, isApiKeyId, newApiKey, parseApiKey } from "./api_key.ts";
import { type AddedKey, type Announce, ApiKeyAdder } from "./api_key_adder.ts";
import { ApiKeyRows, type KeyInfo, type StoredKey } from "./api_key_rows.ts";
import type { Grant } from "./authority.ts";
import type { Scope } from "./scope.ts";

/** Bytes of a key's name and scope as JSON. Guards against values too large for the store. */
export const MAX_KEY_BYTES = 16_384;

/** Compared instead of a hash for an unknown id; no text has this hash. */
const NO_HASH = "0".repeat(64);

const utf8 = new TextEncoder();

export interface NewKey {
  readonly name?: string | undefined;
  readonly scope: Scope;
  /** Milliseconds since 1970. @default never */
  readonly expiresAt?: number | undefined;
}

export interface CreatedKey {
  /** The key itself. It is not stored and only returned here. */
  readonly key: string;
  readonly info: KeyInfo;
}

interface RotatedKey extends CreatedKey {
  /** When the replaced key expires: milliseconds since 1970. */
  readonly oldEndsAt: number;
}

interface RotateOptions {
  /** How long the replaced key stays valid; 0 ends it immediately. */
  readonly graceMs: number;
  readonly announce?: Announce;
}

/**
 * Stores the API keys of all tenants, as hashes only. All methods throw a {@link Problem}
 * `storage_*` if the store fails. A key of another tenant is treated as nonexistent.
 */
export class ApiKeyStore {
  readonly #kv: Deno.Kv;
  readonly #now: () => number;
  readonly #rows: ApiKeyRows;
  readonly #adder: ApiKeyAdder;

  /** @param now milliseconds since 1970. */
  constructor(kv: Deno.Kv, now: () => number = Date.now) {
    this.#kv = kv;
    this.#now = now;
    this.#rows = new ApiKeyRows(kv, now);
    this.#adder = new ApiKeyAdder(kv, this.#rows);
  }

  /**
   * Creates a key.
   *
   * @throws {Problem} `bad_body` if name and scope have more than 16 KiB, `tenant_limit` if the
   * tenant has 1,000 keys, `contended`; errors of `announce`.
   */
  async create(
    tenant: Tenant,
    { name, scope, expiresAt }: NewKey,
    announce?: Announce,
  ): Promise<CreatedKey> {
    const key = newApiKey();
    const info: KeyInfo = { id: key.id, name, scope, createdAt: this.#now(), expiresAt };
    requireSize(info);
    const plan = () => Promise.resolve({ info });
    await withStoreTimeout(this.#adder.add({ tenant, key, plan, announce }));
    return { key: key.text, info };
  }

  /** Returns what the tenant may know of its key `id`; undefined if it has no such key. */
  async get(tenant: Tenant, id: string): Promise<KeyInfo | undefined> {
    return (await withStoreTimeout(this.#rows.getOwn(tenant, id)))?.value.info;
  }

  /**
   * Lists at most `limit` keys of the tenant, by id, starting behind the id `after`. If there are
   * more, `next` is the `after` of the next page.
   *
   * @throws {Problem} `bad_parameter` if `after` is not an id.
   */
  async list(
    tenant: Tenant,
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly keys: readonly KeyInfo[]; readonly next: string | undefined }> {
    if (after !== undefined && !isApiKeyId(after)) {
      throw new Problem("bad_parameter", `${quote(after)} is not the id of an API key.`);
    }
    const found = await withStoreTimeout(this.#rows.list(tenant, { after, limit: limit + 1 }));
    const page = found.slice(0, limit);
    return { keys: page, next: found.length > limit ? page.at(-1)?.id : undefined };
  }

  /**
   * Replaces the key `id` by a new one with the same name, scope and expiry. The old key expires
   * after the grace period, or when it would have expired anyway if that is sooner.
   *
   * @returns undefined if the tenant has no such key or it was replaced before.
   * @throws {Problem} `tenant_limit` if the tenant has 1,000 keys and the old key is not removed
   * immediately; `contended`; errors of `announce`.
   */
  async rotate(
    tenant: Tenant,
    id: string,
    { graceMs, announce }: RotateOptions,
  ): Promise<RotatedKey | undefined> {
    const key = newApiKey();
    const plan = async () => {
      const entry = await this.#rows.getOwn(tenant, id);
      return entry && this.#planRotation(entry, key.id, graceMs);
    };
    const added = await withStoreTimeout(this.#adder.add({ tenant, key, plan, announce }));
    if (added?.replaced === undefined) return undefined;
    return { key: key.text, info: added.info, oldEndsAt: added.replaced.endsAt };
  }

  /** Removes the tenant's key, which ends immediately. Returns whether there was one. */
  async remove(tenant: Tenant, id: string): Promise<boolean> {
    const remove = async () => {
      if (await this.#rows.getOwn(tenant, id) === undefined) return false;
      const atomic = this.#kv.atomic()
        .delete(keys.apiKey(id))
        .delete(keys.apiKeyInfo(tenant, id));
      await retryLocked(() => atomic.commit());
      return true;
    };
    return await withStoreTimeout(remove());
  }

  /**
   * Returns the grant of the key `text`.
   *
   * @throws {Problem} `key_invalid`: the same for a wrong secret and for an unknown id.
   */
  async find(text: string): Promise<Grant> {
    const key = parseApiKey(text);
    if (key === undefined) {
      throw new Problem(
        "key_invalid",
        "This is not an API key: its length, its characters or its checksum is wrong.",
      );
    }
    const { value } = await withStoreTimeout(this.#rows.get(key.id));
    const isRight = isEqual(hashApiKey(key.text), value?.hash ?? NO_HASH);
    if (value === null || !isRight) {
      throw new Problem("key_invalid", "This API key does not exist or was removed.");
    }
    const { tenant, info } = value;
    if (this.#rows.isExpired(info)) throw new Problem("key_invalid", "This API key has expired.");
    return grantOf(tenant, info);
  }

  /** Returns the current grant of the tenant's key `id`; undefined if there is no such key. */
  async current(tenant: Tenant, id: string): Promise<Grant | undefined> {
    const info = await this.get(tenant, id);
    return info === undefined ? undefined : grantOf(tenant, info);
  }

  #planRotation(
    entry: Deno.KvEntry<StoredKey>,
    newId: string,
    graceMs: number,
  ): AddedKey | undefined {
    const { info } = entry.value;
    if (info.replacedBy !== undefined) return undefined;
    const now = this.#now();
    const endsAt = Math.min(info.expiresAt ?? Infinity, now + graceMs);
    return {
      info: { ...info, id: newId, createdAt: now },
      replaced: { entry, info: { ...info, expiresAt: endsAt, replacedBy: newId }, endsAt },
    };
  }
}

/** Returns the grant of a tenant's key. */
export function grantOf(tenant: Tenant, { id, createdAt, expiresAt, scope }: KeyInfo): Grant {
  return { tenant, kind: "key", keyId: id, issuedAt: createdAt, expiresAt, scope };
}

/** Compares hashes in constant time. */
function isEqual(hash: string, other: string): boolean {
  return timingSafeEqual(utf8.encode(hash), utf8.encode(other));
}

/** @throws {Problem} `bad_body` */
function requireSize({ name, scope }: KeyInfo): void {
  const bytes = utf8.encode(JSON.stringify({ name, scope })).length;
  if (bytes <= MAX_KEY_BYTES) return;
  throw new Problem(
    "bad_body",
    `The name and the scope of an API key have ${bytes} bytes; at most ${MAX_KEY_BYTES} are allowed.`,
  );
}
