import { keys } from "../kv/keys.ts";
import type { Tenant } from "../shared/channel.ts";
import { isApiKeyId } from "./api_key.ts";
import type { Scope } from "./scope.ts";

/** How long a key's rows outlive the key, in ms: until then its user learns that it has expired. */
const KEPT_AFTER_EXPIRY_MS = 60_000;

/** What a tenant may know of its key. Times are milliseconds since 1970. */
export interface KeyInfo {
  readonly id: string;
  readonly name?: string | undefined;
  readonly scope: Scope;
  readonly createdAt: number;
  readonly expiresAt?: number | undefined;
  /** The id of the key that replaces it when it expires. */
  readonly replacedBy?: string | undefined;
}

export interface StoredKey {
  readonly tenant: Tenant;
  readonly hash: string;
  readonly info: KeyInfo;
}

/** The rows of API keys: each key has one by its id, and one in the list of its tenant. */
export class ApiKeyRows {
  readonly #kv: Deno.Kv;
  readonly #now: () => number;

  /** @param now milliseconds since 1970. */
  constructor(kv: Deno.Kv, now: () => number) {
    this.#kv = kv;
    this.#now = now;
  }

  /** Reads the key with this id, of any tenant, expired or not. */
  async get(id: string): Promise<Deno.KvEntryMaybe<StoredKey>> {
    return await this.#kv.get<StoredKey>(keys.apiKey(id));
  }

  /** Reads the tenant's key with this id; undefined if it has none or the key has expired. */
  async getOwn(tenant: Tenant, id: string): Promise<Deno.KvEntry<StoredKey> | undefined> {
    if (!isApiKeyId(id)) return undefined;
    const entry = await this.get(id);
    if (entry.value === null || entry.value.tenant !== tenant) return undefined;
    return this.isExpired(entry.value.info) ? undefined : entry;
  }

  /** Lists the tenant's keys that have not expired, by id. */
  async list(
    tenant: Tenant,
    { after = "", limit = Infinity }: {
      readonly after?: string | undefined;
      readonly limit?: number;
    } = {},
  ): Promise<readonly KeyInfo[]> {
    const found: KeyInfo[] = [];
    // Just after the id `after`: numbers sort after all strings.
    const start = [...keys.apiKeyInfos(tenant), after, 0];
    const end = [...keys.apiKeyInfos(tenant), 0];
    for await (const { value } of this.#kv.list<KeyInfo>({ start, end })) {
      if (!this.isExpired(value)) found.push(value);
      if (found.length >= limit) break;
    }
    return found;
  }

  /** Adds writing the key's rows to `atomic`. */
  set(atomic: Deno.AtomicOperation, stored: StoredKey): Deno.AtomicOperation {
    const { tenant, info } = stored;
    const { expiresAt } = info;
    const options = expiresAt === undefined
      ? {}
      : { expireIn: Math.max(expiresAt - this.#now(), 0) + KEPT_AFTER_EXPIRY_MS };
    return atomic
      .set(keys.apiKey(info.id), stored, options)
      .set(keys.apiKeyInfo(tenant, info.id), info, options);
  }

  isExpired({ expiresAt }: KeyInfo): boolean {
    return expiresAt !== undefined && this.#now() >= expiresAt;
  }
}
