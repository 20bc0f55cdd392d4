import type { Tenant } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { hasSecret } from "../shared/secrets.ts";
import type { ApiKeyStore, CreatedKey, NewKey } from "./api_key_store.ts";
import type { Audit } from "./audit.ts";
import type { Caller } from "./caller.ts";
import type { ApiKeyEntry } from "./control_journal.ts";
import type { RevocationKind, Revocations } from "./revocations.ts";

interface AdministrationOptions {
  readonly apiKeys: ApiKeyStore;
  readonly revocations: Revocations;
  readonly audit: Audit;
  /** Makes all isolates apply the new expiry of an API key. */
  readonly announce: (entry: ApiKeyEntry) => Promise<unknown>;
  /** Applies the new expiry of an API key in this isolate. */
  readonly apply: (entry: ApiKeyEntry) => void;
  readonly onWarning: (message: string, cause: unknown) => void;
}

/** Changes API keys and revokes credentials for administrators, and records what they did. */
export class Administration {
  readonly #options: AdministrationOptions;

  constructor(options: AdministrationOptions) {
    this.#options = options;
  }

  /** @throws {Problem} as {@link ApiKeyStore.create} and {@link Audit.recordBy} */
  async createKey(by: Caller, key: NewKey): Promise<CreatedKey> {
    const { apiKeys, audit } = this.#options;
    return await apiKeys.create(
      by.authority.tenant,
      key,
      ({ id }) => audit.recordBy(by, "key.created", { key: id }),
    );
  }

  /**
   * Replaces the API key `id` by a new one; the old key stays valid for `graceMs`. Connections that
   * use it are warned before it expires.
   *
   * @returns undefined if there is no such key or it was rotated before.
   * @throws {Problem} as {@link ApiKeyStore.rotate} and {@link Audit.recordBy}
   */
  async rotateKey(by: Caller, id: string, graceMs: number): Promise<CreatedKey | undefined> {
    const { apiKeys, audit } = this.#options;
    const { tenant } = by.authority;
    const grace = graceMs / 1_000;
    const rotated = await apiKeys.rotate(tenant, id, {
      graceMs,
      announce: ({ id: replacedBy }) =>
        audit.recordBy(by, "key.rotated", { key: id, replacedBy, grace }),
    });
    if (rotated === undefined) return undefined;
    await this.keyChanged(tenant, id, rotated.oldEndsAt);
    return rotated;
  }

  /**
   * Makes all isolates apply the new expiry of an API key. Never fails, because the change itself
   * cannot be undone: if the other isolates cannot be reached, the operator is warned.
   *
   * @param expiresAt milliseconds since 1970.
   */
  async keyChanged(tenant: Tenant, id: string, expiresAt: number): Promise<void> {
    const { announce, apply, onWarning } = this.#options;
    const entry: ApiKeyEntry = { type: "key", tenant, id, expiresAt };
    try {
      await announce(entry);
    } catch (cause) {
      apply(entry);
      onWarning(
        `other isolates did not receive the rotation of API key ${id}: connections there keep ` +
          "the old key until it is removed",
        cause,
      );
    }
  }

  /**
   * Revokes credentials of the caller's tenant in every isolate; an API key is also removed. The
   * revocation is in force before it is recorded. After a failure it can be repeated.
   *
   * @throws {Problem} as {@link Revocations.revoke} and {@link Audit.recordBy}
   */
  async revoke(by: Caller, kind: RevocationKind, value: string): Promise<void> {
    const { apiKeys, revocations, audit } = this.#options;
    // It would revoke nothing, and the secret would be in lists and in the audit channel.
    if (hasSecret(value)) {
      throw new Problem("bad_parameter", "Cannot revoke the text of a credential: name its id.");
    }
    const { tenant } = by.authority;
    await revocations.revoke(tenant, kind, value);
    if (kind !== "key") {
      return await audit.recordBy(by, "credential.revoked", { revoked: kind, value });
    }
    await audit.recordBy(by, "key.removed", { key: value });
    await apiKeys.remove(tenant, value); // last, so that a repeated call still finds the key
  }
}
