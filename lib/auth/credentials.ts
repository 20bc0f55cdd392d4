import { Problem } from "../shared/problem.ts";
import type { ApiKeyStore } from "./api_key_store.ts";
import { Authority, type Grant } from "./authority.ts";
import type { ApiKeyEntry } from "./control_journal.ts";
import { CredentialCache } from "./credential_cache.ts";
import type { Limiter } from "./limiter.ts";
import { RecentKeyExpiries } from "./recent_key_expiries.ts";
import type { Revocations } from "./revocations.ts";
import type { SigningKeys } from "./signing_keys.ts";
import type { TicketStore } from "./ticket_store.ts";
import { TokenVerifier, type TokenVerifierOptions } from "./token_verifier.ts";

interface CredentialsOptions {
  /** The server accepts no tokens if undefined. */
  readonly signingKeys: SigningKeys | undefined;
  readonly tokens: Omit<TokenVerifierOptions, "keys">;
  readonly apiKeys: ApiKeyStore;
  readonly tickets: TicketStore;
  readonly revocations: Revocations;
  readonly limiter: Limiter;
}

/** Turns tokens, API keys, tickets and stored grants into authorities. */
export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #verifier: TokenVerifier | undefined;
  readonly #cache = new CredentialCache();
  readonly #keyExpiries = new RecentKeyExpiries();
  /** Grows with each change of any key: a result that was read before the change may be stale. */
  #keyChanges = 0;

  constructor(options: CredentialsOptions) {
    const { signingKeys, tokens } = options;
    this.#options = options;
    if (signingKeys !== undefined) {
      this.#verifier = new TokenVerifier({ ...tokens, keys: signingKeys });
    }
  }

  /**
   * Returns the authority of a token or an API key, immediately if the credential is cached.
   *
   * @param ip the client's. After too many refusals from it, only cached credentials are accepted.
   * @throws {Problem} `token_invalid`, `token_expired`, `token_revoked`, `key_invalid`,
   * `keys_unavailable`, `storage_*`, `rate_limited`
   */
  verify(credential: string, ip?: string): Authority | Promise<Authority> {
    const cached = this.#cache.get(credential);
    if (cached !== undefined) return cached;
    if (ip !== undefined) this.#options.limiter.checkFailedAuthentications(ip);
    return this.#verifyUncached(credential);
  }

  /**
   * Returns the authority of a ticket, which is used up by the call, and the origin of the page
   * that asked for the ticket, if it had one.
   *
   * @throws {Problem} `ticket_invalid`, `token_revoked`, `storage_*`
   */
  async redeem(
    ticket: string,
  ): Promise<{ readonly authority: Authority; readonly origin: string | undefined }> {
    const { grant, origin } = await this.#options.tickets.redeem(ticket);
    const authority = await this.revive(grant);
    if (authority !== undefined) return { authority, origin };
    throw new Problem(
      "ticket_invalid",
      "The credential that this ticket was issued for is no longer trusted.",
    );
  }

  /**
   * Returns the authority that a stored grant has now; undefined if its credential no longer
   * exists. An API key may have been removed or rotated, a signing key removed, and a grant of
   * open mode must not outlast that mode.
   *
   * @throws {Problem} as {@link requireValid}; `storage_*`
   */
  async revive(grant: Grant): Promise<Authority | undefined> {
    this.#refuseRevoked(grant);
    const changes = this.#keyChanges;
    const current = await this.#currentGrant(grant);
    if (changes !== this.#keyChanges) return await this.revive(grant);
    if (current === undefined) return undefined;
    const authority = new Authority(current);
    this.requireValid(authority);
    return authority;
  }

  /**
   * Checks an authority again after time has passed, for example while a body arrived: its
   * credential may have been revoked or have expired.
   *
   * @throws {Problem} `token_revoked`, `token_expired`, `key_invalid`
   */
  requireValid({ grant }: Authority): void {
    this.#refuseRevoked(grant);
    if (!this.isSigned(grant)) {
      throw new Problem("token_revoked", "The key that signed this token is no longer trusted.");
    }
    const expiresAt = Math.min(grant.expiresAt ?? Infinity, this.#keyExpiries.expiryOf(grant));
    if (Date.now() < expiresAt) return;
    if (grant.kind === "key") throw new Problem("key_invalid", "This API key has expired.");
    throw new Problem("token_expired", "The token has expired.");
  }

  /** Returns whether the grant is revoked or the key that signed its token was removed. */
  isRevoked(grant: Grant): boolean {
    return this.#options.revocations.isRevoked(grant) || !this.isSigned(grant);
  }

  /**
   * Returns false for a token whose signing key was removed, even if another key now has its `kid`.
   */
  isSigned({ kind, keyId = "", keyFingerprint = "" }: Grant): boolean {
    return kind !== "token" || this.#options.signingKeys?.knows(keyId, keyFingerprint) === true;
  }

  /** Makes matching credentials be verified again at their next use. */
  forget(matches: (grant: Grant) => boolean): void {
    this.#cache.forget(matches);
  }

  /** Makes results that are being verified now be verified again, with the current signing keys. */
  signingKeysChanged(): void {
    this.#keyChanges++;
  }

  /** Applies a new expiry of an API key. */
  apiKeyChanged({ id, expiresAt }: ApiKeyEntry, matches: (grant: Grant) => boolean): void {
    this.#keyChanges++;
    this.#keyExpiries.add(id, expiresAt);
    this.forget(matches);
  }

  async #verifyUncached(credential: string): Promise<Authority> {
    const changes = this.#keyChanges;
    const grant = credential.startsWith("weir_")
      ? await this.#options.apiKeys.find(credential)
      : await this.#verifyToken(credential);
    if (changes !== this.#keyChanges) return await this.#verifyUncached(credential);
    this.#refuseRevoked(grant);
    const authority = new Authority(grant);
    this.#cache.add(credential, authority);
    return authority;
  }

  async #verifyToken(token: string): Promise<Grant> {
    if (this.#verifier !== undefined) return await this.#verifier.verify(token);
    throw new Problem("token_invalid", "This server accepts no tokens: WEIR_JWKS is not set.");
  }

  async #currentGrant(grant: Grant): Promise<Grant | undefined> {
    const { tenant, kind, keyId, keyFingerprint } = grant;
    const { apiKeys, signingKeys } = this.#options;
    if (keyId === undefined) return undefined;
    if (kind === "key") return await apiKeys.current(tenant, keyId);
    if (kind !== "token" || keyFingerprint === undefined) return undefined;
    return await signingKeys?.findOut(keyId, keyFingerprint) ? grant : undefined;
  }

  #refuseRevoked(grant: Grant): void {
    if (!this.#options.revocations.isRevoked(grant)) return;
    throw new Problem("token_revoked", "This credential was revoked.");
  }
}
