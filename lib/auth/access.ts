import type { Doorbell } from "../kv/doorbell.ts";
import type { Log } from "../log/log.ts";
import { DEFAULT_TENANT, type Tenant } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { hasSecret } from "../shared/secrets.ts";
import { ApiKeyStore } from "./api_key_store.ts";
import { Audit, type AuditDetails, type AuditType } from "./audit.ts";
import { Authority, type Grant, OPEN } from "./authority.ts";
import type { Caller } from "./caller.ts";
import {
  type ApiKeyEntry,
  type ControlEntry,
  ControlJournal,
  type SwapEntry,
} from "./control_journal.ts";
import { RecentKeyExpiries } from "./recent_key_expiries.ts";
import type { LimitTable } from "./limit_settings.ts";
import { Limiter } from "./limiter.ts";
import { type RevocationKind, Revocations } from "./revocations.ts";
import type { Scope } from "./scope.ts";
import { Connections } from "./connections.ts";
import { keySourceOf, SigningKeys, type SigningKeysOptions } from "./signing_keys.ts";
import { TicketStore } from "./ticket_store.ts";
import { TokenVerifier } from "./token_verifier.ts";
import { CredentialCache } from "./credential_cache.ts";

/** The keys that are set can't be used; its message is a sentence for the operator. */
export class KeysError extends Error {
  override readonly name = "KeysError";
}

/** How long other isolates have to hear of a credential's change, in ms. */
const NOTICE_MS = 60_000;

interface AccessOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  readonly log: Pick<Log, "append">;
  /** Whether everyone may do everything. */
  readonly isOpen: boolean;
  readonly anonymous: Scope | undefined;
  readonly tokens: {
    readonly jwks: string | undefined;
    readonly issuer: string | undefined;
    readonly audience: string | undefined;
    readonly maxLifetime: number;
    readonly skew: number;
  };
  readonly limits: LimitTable;
  /** Told of what went wrong beside a request; never of a credential. */
  readonly onWarning: (message: string, cause?: unknown) => void;
}

/** One isolate's access control: who somebody is, what they may do, and until when. */
export class Access {
  readonly isOpen: boolean;
  /** Who brings no credential; undefined: is refused. */
  readonly anonymous: Authority | undefined;
  readonly connections = new Connections((grant) => this.#isRevoked(grant));
  readonly limiter: Limiter;
  readonly apiKeys: ApiKeyStore;
  readonly tickets: TicketStore;
  readonly audit: Audit;
  readonly revocations: Revocations;
  #journal!: ControlJournal; // opened before anyone has the object
  #signingKeys: SigningKeys | undefined;
  #verifier: TokenVerifier | undefined;
  readonly #verified = new CredentialCache();
  /** Changes of keys so far: what was looked up before one may be as it no longer is. */
  #keyChanges = 0;
  readonly #keyEnds = new RecentKeyExpiries();
  /** The swaps from other isolates, one after the other. */
  #swapping: Promise<void> = Promise.resolve();
  readonly #onWarning: AccessOptions["onWarning"];

  private constructor({ kv, log, isOpen, anonymous, tokens, limits, onWarning }: AccessOptions) {
    this.isOpen = isOpen;
    this.#onWarning = onWarning;
    if (isOpen) this.anonymous = OPEN;
    else if (anonymous !== undefined) {
      this.anonymous = new Authority({
        tenant: DEFAULT_TENANT,
        kind: "anonymous",
        scope: anonymous,
      });
    }
    this.audit = new Audit(log, (cause) => onWarning("an audit event was not stored", cause));
    this.limiter = new Limiter({
      limits,
      onLimited: ({ authority, ip }, limit, scope) => {
        if (authority === undefined) return;
        void this.record({ authority, ip }, "limit.exceeded", { limit, scope });
      },
    });
    this.apiKeys = new ApiKeyStore(kv);
    this.tickets = new TicketStore(kv, {
      onReused: (tenant) => void this.audit.record(tenant, "ticket.reused", {}),
    });
    this.revocations = new Revocations({
      write: (entry, expiresAt, replaces) => this.#journal.write(entry, expiresAt, replaces),
      maxTokenLifetime: tokens.maxLifetime,
      skew: tokens.skew,
      onRevoked: (isRevoked) => this.#end(isRevoked),
    });
  }

  /**
   * Knows all that is revoked when it resolves.
   *
   * @throws {KeysError}
   * @throws {Problem} `storage_*`
   */
  static async open(options: AccessOptions): Promise<Access> {
    const { kv, doorbell, tokens, onWarning } = options;
    const access = new Access(options);
    if (tokens.jwks !== undefined) {
      const keys = await openKeys(tokens.jwks, {
        warn: (message) => onWarning(message),
        onRemoved: () => {
          access.#keyChanges++;
          access.#end((grant) => !access.#isSigned(grant));
        },
      });
      access.#signingKeys = keys;
      access.#verifier = new TokenVerifier({ ...tokens, keys });
    }
    try {
      access.#journal = await ControlJournal.open({
        kv,
        doorbell,
        onEntry: (entry, row) => access.#apply(entry, row),
        onError: (cause) => onWarning("the control journal was not read, or not acted on", cause),
      });
    } catch (cause) {
      await access.#signingKeys?.close();
      throw cause;
    }
    return access;
  }

  /**
   * What the bearer of a token or an API key may do: at once where it was verified before.
   *
   * @param ip where it comes from. After too many refusals there nothing new is looked at.
   * @throws {Problem} `token_invalid`, `token_expired`, `token_revoked`, `key_invalid`,
   * `keys_unavailable`, `storage_*`, `rate_limited`
   */
  verify(credential: string, ip?: string): Authority | Promise<Authority> {
    const known = this.#verified.get(credential);
    if (known !== undefined) return known;
    if (ip !== undefined) this.limiter.requireAuthentication(ip);
    return this.#verifyAnew(credential);
  }

  /**
   * What the holder of a ticket may do; it is used up by that.
   *
   * @returns also the origin of the page that it was made for, if there was one.
   * @throws {Problem} `ticket_invalid`, `token_revoked`, `storage_*`
   */
  async redeem(
    ticket: string,
  ): Promise<{ readonly authority: Authority; readonly origin: string | undefined }> {
    const { grant, origin } = await this.tickets.redeem(ticket);
    const authority = await this.#revive(grant);
    if (authority !== undefined) return { authority, origin };
    throw new Problem("ticket_invalid", "What this ticket was made by is no longer trusted.");
  }

  /**
   * To be asked where time has passed since the authority was had, as while a body came: it may
   * have been revoked, or have ended.
   *
   * @throws {Problem} `token_revoked`, `token_expired`, `key_invalid`
   */
  requireValid({ grant }: Authority): void {
    this.#refuseRevoked(grant);
    if (!this.#isSigned(grant)) {
      throw new Problem("token_revoked", "The key that signed this token is no longer trusted.");
    }
    const endsAt = Math.min(grant.expiresAt ?? Infinity, this.#keyEnds.endOf(grant));
    if (Date.now() < endsAt) return;
    if (grant.kind === "key") throw new Problem("key_invalid", "This API key has expired.");
    throw new Problem("token_expired", "The token has expired.");
  }

  /**
   * Gives the open stream `id` another credential: true if it is of this isolate, false if the
   * others were told.
   *
   * @throws {Problem} `forbidden` where the stream is of another tenant or subject.
   */
  async swap(id: string, authority: Authority): Promise<boolean> {
    if (this.connections.replace(id, authority)) return true;
    const { grant } = authority;
    await this.#journal.write({ type: "swap", stream: id, grant }, Date.now() + NOTICE_MS);
    return false;
  }

  /**
   * Ends what is revoked, here and elsewhere; an API key is removed for good. It is in force before
   * it is recorded, and can be repeated where it failed half-way.
   *
   * @throws {Problem} as {@link Revocations.revoke}, {@link record}
   */
  async revoke(by: Caller, kind: RevocationKind, value: string): Promise<void> {
    // It would revoke nothing, and stand in lists and in the audit channel.
    if (hasSecret(value)) {
      const detail = "Cannot revoke a credential by itself: say its id, not what it is.";
      throw new Problem("bad_parameter", detail);
    }
    const { tenant } = by.authority;
    await this.revocations.revoke(tenant, kind, value);
    if (kind !== "key") {
      return await this.record(by, "credential.revoked", { revoked: kind, value });
    }
    await this.record(by, "key.removed", { key: value });
    await this.apiKeys.remove(tenant, value); // last: who tries again has to find it
  }

  /**
   * An API key has another end than before: what lives by it is to know. That can't be undone, so
   * it doesn't fail; where the others can't be told, the operator is.
   */
  async keyChanged(tenant: Tenant, id: string, expiresAt: number): Promise<void> {
    const entry = { type: "key", tenant, id, expiresAt } as const;
    try {
      await this.#journal.write(entry, Date.now() + NOTICE_MS);
    } catch (cause) {
      this.#applyKeyChange(entry);
      const then = "what it has open elsewhere may go on until it is removed";
      this.#onWarning(
        `other isolates were not told that API key ${id} was rotated: ${then}`,
        cause,
      );
    }
  }

  /**
   * Lets the caller's tenant see, in its audit channel, what the caller did.
   *
   * @throws {Problem} as {@link Audit.record}
   */
  async record(
    { authority, ip }: Caller,
    type: AuditType,
    details: AuditDetails,
  ): Promise<void> {
    const { tenant, kind, subject, tokenId, keyId } = authority.grant;
    const by = { kind, subject, tokenId, keyId, address: ip === "" ? undefined : ip };
    await this.audit.record(tenant, type, { ...by, ...details });
  }

  /** Records what the caller has asked for without the right to it. */
  recordDenial(by: Caller, detail: string): void {
    if (!this.isOpen) void this.record(by, "access.denied", { detail });
  }

  async close(): Promise<void> {
    await this.#signingKeys?.close();
    await this.#journal.close();
    await this.#swapping;
  }

  async #verifyAnew(credential: string): Promise<Authority> {
    const changes = this.#keyChanges;
    const grant = credential.startsWith("weir_")
      ? await this.apiKeys.find(credential)
      : await this.#verifyToken(credential);
    if (changes !== this.#keyChanges) return await this.#verifyAnew(credential);
    this.#refuseRevoked(grant);
    const authority = new Authority(grant);
    this.#verified.keep(credential, authority);
    return authority;
  }

  async #verifyToken(token: string): Promise<Grant> {
    if (this.#verifier !== undefined) return await this.#verifier.verify(token);
    throw new Problem("token_invalid", "This server takes no tokens: WEIR_JWKS is not set.");
  }

  /**
   * The authority of a grant that was stored; undefined where its credential gives none any more.
   *
   * @throws {Problem} as {@link requireValid}; `storage_*`
   */
  async #revive(grant: Grant): Promise<Authority | undefined> {
    this.#refuseRevoked(grant);
    const changes = this.#keyChanges;
    const present = await this.#presentGrant(grant);
    if (changes !== this.#keyChanges) return await this.#revive(grant);
    if (present === undefined) return undefined;
    const authority = new Authority(present);
    this.requireValid(authority);
    return authority;
  }

  /**
   * The grant as its credential gives it now: an API key may have gone or have another end, a
   * signing key may have gone, and what is open to everyone in open mode must not outlast that.
   */
  async #presentGrant(grant: Grant): Promise<Grant | undefined> {
    const { tenant, kind, keyId, keyFingerprint } = grant;
    if (keyId === undefined) return undefined;
    if (kind === "key") return await this.apiKeys.current(tenant, keyId);
    if (kind !== "token" || keyFingerprint === undefined) return undefined;
    return await this.#signingKeys?.findOut(keyId, keyFingerprint) ? grant : undefined;
  }

  #refuseRevoked(grant: Grant): void {
    if (!this.revocations.isRevoked(grant)) return;
    throw new Problem("token_revoked", "This credential was revoked.");
  }

  #isRevoked(grant: Grant): boolean {
    return this.revocations.isRevoked(grant) || !this.#isSigned(grant);
  }

  /** False of a token whose signing key has gone, whether or not another has its name. */
  #isSigned({ kind, keyId = "", keyFingerprint = "" }: Grant): boolean {
    return kind !== "token" || this.#signingKeys?.knows(keyId, keyFingerprint) === true;
  }

  /** Ends what lives by a grant that matches, and has it verified anew where it comes again. */
  #end(matches: (grant: Grant) => boolean): void {
    this.#verified.forget(matches);
    for (const authority of this.connections.revoke(matches)) {
      void this.record({ authority, ip: "" }, "session.ended", { reason: "revoked" });
    }
  }

  #apply(entry: ControlEntry, row: Deno.KvKey): void {
    switch (entry.type) {
      case "revocation":
        return this.revocations.apply(entry, row);
      case "swap":
        if (!this.connections.has(entry.stream)) return;
        this.#swapping = this.#swapping.then(() => this.#applySwap(entry));
        return;
      case "key":
        return this.#applyKeyChange(entry);
    }
  }

  #applyKeyChange({ tenant, id, expiresAt }: ApiKeyEntry): void {
    this.#keyChanges++;
    this.#keyEnds.note(id, expiresAt);
    const matches = (grant: Grant) =>
      grant.kind === "key" && grant.tenant === tenant && grant.keyId === id;
    this.#verified.forget(matches);
    this.connections.limit(matches, expiresAt);
  }

  async #applySwap({ stream, grant }: SwapEntry): Promise<void> {
    try {
      const authority = await this.#revive(grant);
      if (authority === undefined) {
        throw new Problem("forbidden", "What a stream is given has to be trusted still.");
      }
      this.connections.replace(stream, authority);
    } catch (cause) {
      const isRefusal = cause instanceof Problem && !cause.code.startsWith("storage_");
      if (!isRefusal) {
        return this.#onWarning("a stream could not be given another credential", cause);
      }
      // Who asked is in another isolate and was told that it was passed on: the tenant may look.
      this.recordDenial({ authority: new Authority(grant), ip: "" }, cause.detail);
    }
  }
}

/** @throws {KeysError} */
async function openKeys(setting: string, options: SigningKeysOptions): Promise<SigningKeys> {
  try {
    return await SigningKeys.open(keySourceOf(setting), options);
  } catch (cause) {
    throw new KeysError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
