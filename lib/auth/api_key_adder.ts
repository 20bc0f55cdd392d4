import { ConflictError, retryConflicts, retryLocked } from "../kv/commit_retry.ts";
import { keys } from "../kv/keys.ts";
import { STORE_TIMEOUT_MS } from "../kv/limits.ts";
import type { Tenant } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { type ApiKey, hashApiKey } from "./api_key.ts";
import type { ApiKeyRows, KeyInfo, StoredKey } from "./api_key_rows.ts";

/** Keys per tenant. Guards against one tenant that fills the store and its lists. */
export const MAX_API_KEYS = 1_000;

/** Called with a key before it is stored. The key is not stored if this fails. */
export type Announce = (info: KeyInfo) => Promise<void>;

/** What adding a key writes. */
export interface AddedKey {
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
  readonly plan: () => Promise<AddedKey | undefined>;
  readonly announce: Announce | undefined;
}

/** Adds API keys, in place of another or not, without exceeding the limit of their tenant. */
export class ApiKeyAdder {
  readonly #kv: Deno.Kv;
  readonly #rows: ApiKeyRows;

  constructor(kv: Deno.Kv, rows: ApiKeyRows) {
    this.#kv = kv;
    this.#rows = rows;
  }

  /**
   * Stores a key as planned. Concurrent changes of the tenant's keys conflict, and the later one is
   * planned again, so that the number of keys never exceeds the limit.
   *
   * @returns the plan that was carried out; undefined if nothing was planned.
   */
  async add({ tenant, key, plan, announce }: AddOptions): Promise<AddedKey | undefined> {
    const start = performance.now();
    let planned: AddedKey | undefined;
    let isAnnounced = false;
    const add = async () => {
      const lastAdded = await this.#kv.get(keys.lastAddedApiKey(tenant));
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
      await this.#commit(
        { tenant, hash: hashApiKey(key.text), info: planned.info },
        planned,
        lastAdded,
      );
      return planned;
    };
    const contended = "Too many concurrent changes of this tenant's API keys; try again.";
    return await retryConflicts(add, contended);
  }

  /** @throws {Problem} `tenant_limit` */
  #requireRoom(existing: readonly KeyInfo[], { replaced }: AddedKey): void {
    const removed = replaced !== undefined && this.#rows.isExpired(replaced.info) ? 1 : 0;
    if (existing.length - removed < MAX_API_KEYS) return;
    throw new Problem("tenant_limit", `A tenant has at most ${MAX_API_KEYS} API keys.`);
  }

  /** @throws {ConflictError} if the tenant's keys have changed since `lastAdded` was read. */
  async #commit(
    stored: StoredKey,
    { replaced }: AddedKey,
    lastAdded: Deno.KvEntryMaybe<unknown>,
  ): Promise<void> {
    const atomic = this.#kv.atomic()
      .check(lastAdded, { key: keys.apiKey(stored.info.id), versionstamp: null })
      .set(lastAdded.key, 0);
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
