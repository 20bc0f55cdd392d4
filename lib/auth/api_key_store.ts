import { timingSafeEqual } from "node:crypto";
import { ConflictError, retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import { STORE_TIMEOUT_MS } from "../kv/limits.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import type { Tenant } from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";
import { type ApiKey, hashApiKey, isApiKeyId, newApiKey, parseApiKey } from "./api_key.ts";
import { ApiKeyRows, type KeyInfo, type StoredKey } from "./api_key_rows.ts";
import type { Grant } from "./authority.ts";
import type { Scope } from "./scope.ts";

/** Keys per tenant. Guards against one tenant that fills the store and its lists. */
export const MAX_API_KEYS = 1_000;
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

/** Called with a key before it is stored. The key is not stored if this fails. */
type Announce = (info: KeyInfo) => Promise<void>;

interface RotateOptions {
  /** How long the replaced key stays valid; 0 ends it immediately. */
  readonly graceMs: number;
  readonly announce?: Announce;
}

/** What storing a new key writes. */
interface KeyPlan {
  readonly info: KeyInfo;
  /** The key that the new one replaces: its row before, and its info afterwards. */
  readonly replaced?: {
    readonly entry: Deno.KvEntry<StoredKey>;
    readonly info: KeyInfo;
    /** Milliseconds since 1970. */
    readonly endsAt: number;
  };
}

interface AddOptions {
  readonly tenant: Tenant;
  readonly key: ApiKey;
  /** Plans the change; called again after each conflict. Undefined if there is nothing to do. */
  readonly plan: () => Promise<KeyPlan | undefined>;
  readonly announce: Announce | undefined;
}

/**
 * Stores the API keys of all tenants, as hashes only. All methods throw a {@link Problem}
 * `storage_*` if the store fails. A key of another tenant is treated as nonexistent.
 */
export class ApiKeyStore {
  readonly #kv: Deno.Kv;
  readonly #now: () => number;
  readonly #rows: ApiKeyRows;

  /** @param now milliseconds since 1970. */
  constructor(kv: Deno.Kv, now: () => number = Date.now) {
    this.#kv = kv;
    this.#now = now;
    this.#rows = new ApiKeyRows(kv, now);
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
    await withStoreTimeout(this.#add({ tenant, key, plan, announce }));
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
    const added = await withStoreTimeout(this.#add({ tenant, key, plan, announce }));
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
  ): KeyPlan | undefined {
    const { info } = entry.value;
    if (info.replacedBy !== undefined) return undefined;
    const now = this.#now();
    const endsAt = Math.min(info.expiresAt ?? Infinity, now + graceMs);
    return {
      info: { ...info, id: newId, createdAt: now },
      replaced: { entry, info: { ...info, expiresAt: endsAt, replacedBy: newId }, endsAt },
    };
  }

  /**
   * Stores a key as planned. Concurrent changes of the tenant's keys conflict, and the later one is
   * planned again, so that the number of keys never exceeds the limit.
   *
   * @returns the plan that was carried out; undefined if nothing was planned.
   */
  async #add({ tenant, key, plan, announce }: AddOptions): Promise<KeyPlan | undefined> {
    const start = performance.now();
    let planned: KeyPlan | undefined;
    let isAnnounced = false;
    const add = async () => {
      const turn = await this.#kv.get(keys.apiKeyTurn(tenant));
      const existing = await this.#rows.list(tenant);
      // The KV Connect client repeats a commit whose answer was lost, and then it conflicts.
      if (existing.some(({ id }) => id === key.id)) return planned;
      planned = await plan();
      if (planned === undefined) return undefined;
      this.#requireRoom(existing, planned);
      if (!isAnnounced) await announce?.(planned.info);
      isAnnounced = true;
      // Guards against a key that replaces another after its caller has received a timeout.
      if (performance.now() - start > STORE_TIMEOUT_MS) {
        throw new Error("storing the API key took too long");
      }
      await this.#commit({ tenant, hash: hashApiKey(key.text), info: planned.info }, planned, turn);
      return planned;
    };
    const contended = "Too many concurrent changes of this tenant's API keys; try again.";
    return await retryConflicts(add, contended);
  }

  /** @throws {Problem} `tenant_limit` */
  #requireRoom(existing: readonly KeyInfo[], { replaced }: KeyPlan): void {
    const removed = replaced !== undefined && this.#rows.isExpired(replaced.info) ? 1 : 0;
    if (existing.length - removed < MAX_API_KEYS) return;
    throw new Problem("tenant_limit", `A tenant has at most ${MAX_API_KEYS} API keys.`);
  }

  /** @throws {ConflictError} if the tenant's keys have changed since `turn` was read. */
  async #commit(
    stored: StoredKey,
    { replaced }: KeyPlan,
    turn: Deno.KvEntryMaybe<unknown>,
  ): Promise<void> {
    const atomic = this.#kv.atomic()
      .check(turn, { key: keys.apiKey(stored.info.id), versionstamp: null })
      .set(turn.key, 0);
    this.#rows.set(atomic, stored);
    if (replaced !== undefined) {
      this.#rows.set(atomic.check(replaced.entry), {
        ...replaced.entry.value,
        info: replaced.info,
      });
    }
    const { ok } = await retryLocked(() => atomic.commit());
    if (!ok) throw new ConflictError();
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
