import { timingSafeEqual } from "node:crypto";
import { keys } from "../kv/keys.ts";
import { ConflictError, retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import { STORE_TIMEOUT_MS } from "../kv/limits.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import type { Tenant } from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";
import { type ApiKey, hashApiKey, isApiKeyId, newApiKey, parseApiKey } from "./api_key.ts";
import type { Grant } from "./authority.ts";
import type { Scope } from "./scope.ts";

/** Keys that a tenant has at once. Met: a store, and a list, that one tenant fills. */
export const MAX_API_KEYS = 1_000;
/** Bytes of a key's name and scope as JSON. Met: a scope that no value of the store can hold. */
export const MAX_KEY_BYTES = 16_384;

/** How long a key's rows outlive it, in ms: its holder is told that it has expired. */
const EXPIRED_MS = 60_000;
/** Stands for the hash of an id that doesn't exist; no text has it. */
const NO_HASH = "0".repeat(64);

const utf8 = new TextEncoder();

/** What a tenant may know of its key. Times are milliseconds since 1970. */
export interface KeyInfo {
  readonly id: string;
  readonly name?: string | undefined;
  readonly scope: Scope;
  readonly createdAt: number;
  readonly expiresAt?: number | undefined;
  /** The id of the key that has taken its place: it ends at `expiresAt`. */
  readonly replacedBy?: string | undefined;
}

export interface NewKey {
  readonly name?: string | undefined;
  readonly scope: Scope;
  /** Milliseconds since 1970. @default never */
  readonly expiresAt?: number | undefined;
}

export interface CreatedKey {
  /** The key itself. It is kept nowhere and shown only now. */
  readonly key: string;
  readonly info: KeyInfo;
}

interface RotatedKey extends CreatedKey {
  /** When the key whose place it has taken ends: milliseconds since 1970. */
  readonly oldEndsAt: number;
}

/** Told of a key before it is stored; where this fails it isn't. */
type Announce = (info: KeyInfo) => Promise<void>;

interface StoredKey {
  readonly tenant: Tenant;
  readonly hash: string;
  readonly info: KeyInfo;
}

/** What adding a key writes. */
interface KeyPlan {
  readonly info: KeyInfo;
  /** The key whose place it takes: as it was, and as it is then. */
  readonly replaced?: {
    readonly entry: Deno.KvEntry<StoredKey>;
    readonly info: KeyInfo;
    /** Milliseconds since 1970. */
    readonly endsAt: number;
  };
}

/**
 * The tenants' API keys. Only their hashes are stored. Every method throws a {@link Problem}
 * `storage_*` where the store fails; what a tenant is not the owner of does not exist for it.
 */
export class ApiKeyStore {
  readonly #kv: Deno.Kv;
  readonly #now: () => number;

  /** @param now milliseconds since 1970. */
  constructor(kv: Deno.Kv, now: () => number = Date.now) {
    this.#kv = kv;
    this.#now = now;
  }

  /**
   * @throws {Problem} `bad_body` for a name and scope of more than 16 KiB, `tenant_limit` where the
   * tenant has 1,000 keys, `contended`; what `announce` throws
   */
  async create(
    tenant: Tenant,
    { name, scope, expiresAt }: NewKey,
    announce?: Announce,
  ): Promise<CreatedKey> {
    const key = newApiKey();
    const info: KeyInfo = { id: key.id, name, scope, createdAt: this.#now(), expiresAt };
    requireSize(info);
    await withStoreTimeout(this.#add(tenant, key, () => Promise.resolve({ info }), announce));
    return { key: key.text, info };
  }

  /** What the tenant may know of its key `id`, or undefined where it has no such key. */
  async get(tenant: Tenant, id: string): Promise<KeyInfo | undefined> {
    return (await withStoreTimeout(this.#own(tenant, id)))?.value.info;
  }

  /**
   * At most `limit` keys of the tenant, by id, behind the id `after`; `next` is the `after` of the
   * next page, if there is more.
   *
   * @throws {Problem} `bad_parameter` where `after` is no id.
   */
  async list(
    tenant: Tenant,
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly keys: readonly KeyInfo[]; readonly next: string | undefined }> {
    if (after !== undefined && !isApiKeyId(after)) {
      throw new Problem("bad_parameter", `${quote(after)} is no id of a key.`);
    }
    const found = await withStoreTimeout(this.#live(tenant, after, limit + 1));
    const page = found.slice(0, limit);
    return { keys: page, next: found.length > limit ? page.at(-1)?.id : undefined };
  }

  /**
   * Makes a key with the name, scope and end of key `id`, which itself ends in `graceMs` (0: at
   * once) or when it would have ended anyway, if that is sooner.
   *
   * @returns undefined where the tenant has no such key, or it has been replaced before.
   * @throws {Problem} `tenant_limit` where the tenant has 1,000 keys, and this one would stay for a
   * while; `contended`; what `announce` throws
   */
  async rotate(
    tenant: Tenant,
    id: string,
    { graceMs }: { readonly graceMs: number },
    announce?: Announce,
  ): Promise<RotatedKey | undefined> {
    const key = newApiKey();
    const plan = () => this.#planRotation(tenant, id, key.id, graceMs);
    const added = await withStoreTimeout(this.#add(tenant, key, plan, announce));
    if (added?.replaced === undefined) return undefined;
    return { key: key.text, info: added.info, oldEndsAt: added.replaced.endsAt };
  }

  /** Whether there was such a key of the tenant; it ends at once. */
  async remove(tenant: Tenant, id: string): Promise<boolean> {
    const remove = async () => {
      if (await this.#own(tenant, id) === undefined) return false;
      const atomic = this.#kv.atomic()
        .delete(keys.apiKey(id))
        .delete(keys.apiKeyInfo(tenant, id));
      await retryLocked(() => atomic.commit());
      return true;
    };
    return await withStoreTimeout(remove());
  }

  /**
   * What the holder of the key `text` may do.
   *
   * @throws {Problem} `key_invalid`: the same for a wrong secret and for an id that doesn't exist.
   */
  async find(text: string): Promise<Grant> {
    const key = parseApiKey(text);
    if (key === undefined) {
      throw new Problem(
        "key_invalid",
        "This is no API key: its length, its characters or its checksum is wrong.",
      );
    }
    const { value } = await withStoreTimeout(this.#kv.get<StoredKey>(keys.apiKey(key.id)));
    const isRight = isEqual(hashApiKey(key.text), value?.hash ?? NO_HASH);
    if (value === null || !isRight) {
      throw new Problem("key_invalid", "There is no such API key, or there is no more.");
    }
    const { tenant, info } = value;
    if (isExpired(info, this.#now())) {
      throw new Problem("key_invalid", "This API key has expired.");
    }
    return grantOf(tenant, info);
  }

  /** What the holder of the tenant's key `id` may do now; undefined where there is no such key. */
  async current(tenant: Tenant, id: string): Promise<Grant | undefined> {
    const info = await this.get(tenant, id);
    return info === undefined ? undefined : grantOf(tenant, info);
  }

  async #planRotation(
    tenant: Tenant,
    id: string,
    newId: string,
    graceMs: number,
  ): Promise<KeyPlan | undefined> {
    const entry = await this.#own(tenant, id);
    if (entry === undefined || entry.value.info.replacedBy !== undefined) return undefined;
    const { info } = entry.value;
    const now = this.#now();
    const endsAt = Math.min(info.expiresAt ?? Infinity, now + graceMs);
    return {
      info: { ...info, id: newId, createdAt: now },
      replaced: { entry, info: { ...info, expiresAt: endsAt, replacedBy: newId }, endsAt },
    };
  }

  /**
   * Stores `key` as `plan` says, planned anew where another change of the tenant's keys was first:
   * so that their number is exact.
   *
   * @returns the plan that was carried out; undefined where nothing is planned.
   */
  async #add(
    tenant: Tenant,
    key: ApiKey,
    plan: () => Promise<KeyPlan | undefined>,
    announce: Announce | undefined,
  ): Promise<KeyPlan | undefined> {
    const start = performance.now();
    let planned: KeyPlan | undefined;
    let isAnnounced = false;
    const add = async () => {
      const turn = await this.#kv.get(keys.apiKeyTurn(tenant));
      const kept = await this.#live(tenant);
      // The KV Connect client sends a commit again when its answer was lost: then it is refused.
      if (kept.some(({ id }) => id === key.id)) return planned;
      planned = await plan();
      if (planned === undefined) return undefined;
      const { info, replaced } = planned;
      const ended = replaced !== undefined && isExpired(replaced.info, this.#now()) ? 1 : 0;
      if (kept.length - ended >= MAX_API_KEYS) {
        throw new Problem(
          "tenant_limit",
          `A tenant has ${MAX_API_KEYS} keys at the most: remove some.`,
        );
      }
      if (!isAnnounced) await announce?.(info);
      isAnnounced = true;
      // Whoever asked was told that it failed. Met: a key that nobody was shown, in another's place.
      if (performance.now() - start > STORE_TIMEOUT_MS) {
        throw new Error("nobody waits for the key any more");
      }
      const atomic = this.#kv.atomic()
        .check(turn, { key: keys.apiKey(info.id), versionstamp: null })
        .set(turn.key, 0);
      this.#put(atomic, { tenant, hash: hashApiKey(key.text), info });
      if (replaced !== undefined) {
        this.#put(atomic.check(replaced.entry), { ...replaced.entry.value, info: replaced.info });
      }
      const { ok } = await retryLocked(() => atomic.commit());
      if (!ok) throw new ConflictError();
      return planned;
    };
    const contended = "Too many concurrent changes of this tenant's API keys; try again.";
    return await retryConflicts(add, contended);
  }

  #put(atomic: Deno.AtomicOperation, stored: StoredKey): void {
    const { tenant, info } = stored;
    const { expiresAt } = info;
    const options = expiresAt === undefined
      ? {}
      : { expireIn: Math.max(expiresAt - this.#now(), 0) + EXPIRED_MS };
    atomic.set(keys.apiKey(info.id), stored, options);
    atomic.set(keys.apiKeyInfo(tenant, info.id), info, options);
  }

  async #own(tenant: Tenant, id: string): Promise<Deno.KvEntry<StoredKey> | undefined> {
    if (!isApiKeyId(id)) return undefined;
    const entry = await this.#kv.get<StoredKey>(keys.apiKey(id));
    if (entry.value === null || entry.value.tenant !== tenant) return undefined;
    return isExpired(entry.value.info, this.#now()) ? undefined : entry;
  }

  /** The tenant's keys that have not expired, by id. */
  async #live(tenant: Tenant, after = "", limit = Infinity): Promise<readonly KeyInfo[]> {
    const live: KeyInfo[] = [];
    // Just after the id `after`; numbers sort behind all strings.
    const start = [...keys.apiKeyInfos(tenant), after, 0];
    const end = [...keys.apiKeyInfos(tenant), 0];
    for await (const { value } of this.#kv.list<KeyInfo>({ start, end })) {
      if (!isExpired(value, this.#now())) live.push(value);
      if (live.length >= limit) break;
    }
    return live;
  }
}

/** What the holder of the tenant's key may do. */
export function grantOf(tenant: Tenant, { id, createdAt, expiresAt, scope }: KeyInfo): Grant {
  return { tenant, kind: "key", keyId: id, issuedAt: createdAt, expiresAt, scope };
}

function isExpired({ expiresAt }: KeyInfo, now: number): boolean {
  return expiresAt !== undefined && now >= expiresAt;
}

/** In constant time. */
function isEqual(hash: string, other: string): boolean {
  return timingSafeEqual(utf8.encode(hash), utf8.encode(other));
}

function requireSize({ name, scope }: KeyInfo): void {
  const bytes = utf8.encode(JSON.stringify({ name, scope })).length;
  if (bytes <= MAX_KEY_BYTES) return;
  throw new Problem(
    "bad_body",
    `The name and the scope of a key have ${MAX_KEY_BYTES} bytes at the most, these have ${bytes}.`,
  );
}
