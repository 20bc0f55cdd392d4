import type { Doorbell } from "../kv/doorbell.ts";
import type { Log } from "../log/log.ts";
import { DEFAULT_TENANT, type Tenant } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { hasSecret } from "../shared/secrets.ts";
import { Audit, type AuditDetails, type AuditType } from "./audit.ts";
import { Authority, type Grant, OPEN } from "./authority.ts";
import type { Caller } from "./caller.ts";
import { type ControlEntry, ControlJournal } from "./control_journal.ts";
import { ALGORITHMS } from "./jwk_set.ts";
import { KeySet, type KeySetOptions, keySourceOf } from "./key_set.ts";
import { KeyStore } from "./key_store.ts";
import type { LimitTable } from "./limit_settings.ts";
import { Limiter } from "./limiter.ts";
import { type RevocationKind, Revocations } from "./revocations.ts";
import type { Scope } from "./scope.ts";
import { Sessions } from "./sessions.ts";
import { TicketStore } from "./ticket_store.ts";
import { TokenVerifier } from "./token_verifier.ts";

/** The keys that are set can't be used; its message is a sentence for the operator. */
export class KeysError extends Error {
  override readonly name = "KeysError";
}

/** Verified credentials that are kept. Met: a million tokens that fill memory. */
const MAX_VERIFIED = 10_000;
/** How long a verified API key is taken for granted, in ms: its row in the store is the truth. */
const KEY_TRUST_MS = 60_000;
/** How long other isolates have to hear of a credential's change, in ms. */
const NOTICE_MS = 60_000;

export interface AccessOptions {
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

interface Verified {
  readonly authority: Authority;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** One isolate's access control: who somebody is, what they may do, and until when. */
export class Access {
  readonly isOpen: boolean;
  /** Who brings no credential; undefined: is refused. */
  readonly nobody: Authority | undefined;
  readonly sessions = new Sessions((grant) => this.revocations.isRevoked(grant));
  readonly limiter: Limiter;
  readonly keys: KeyStore;
  readonly tickets: TicketStore;
  readonly audit: Audit;
  readonly revocations: Revocations;
  #journal!: ControlJournal; // opened before anyone has the object
  #keySet: KeySet | undefined;
  #verifier: TokenVerifier | undefined;
  /** By the credential, oldest first. */
  readonly #verified = new Map<string, Verified>();
  /** Changes of keys so far: what was looked up before one may be as it no longer is. */
  #keyChanges = 0;

  private constructor({ kv, log, isOpen, anonymous, tokens, limits, onWarning }: AccessOptions) {
    this.isOpen = isOpen;
    if (isOpen) this.nobody = OPEN;
    else if (anonymous !== undefined) {
      this.nobody = new Authority({ tenant: DEFAULT_TENANT, kind: "anonymous", scope: anonymous });
    }
    this.audit = new Audit(log, (cause) => onWarning("an audit event was not stored", cause));
    this.limiter = new Limiter({
      limits,
      onLimited: ({ authority, address }, limit, scope) => {
        if (authority === undefined) return;
        void this.#record(authority.grant, "limit.exceeded", { limit, scope, address });
      },
    });
    this.keys = new KeyStore(kv);
    this.tickets = new TicketStore(kv, {
      onReused: (tenant) => void this.audit.record(tenant, "ticket.reused", {}),
    });
    this.revocations = new Revocations({
      write: (entry, expiresAt, replaces) => this.#journal.write(entry, expiresAt, replaces),
      maxTokenLifetime: tokens.maxLifetime,
      skew: tokens.skew,
      onError: (cause) => onWarning("a revocation was not carried out everywhere here", cause),
    });
    this.revocations.onRevoked((isRevoked) => this.#end(isRevoked));
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
        onRemoved: (kids) => {
          access.#keyChanges++;
          access.#end(({ kind, keyId }) => kind === "token" && kids.includes(keyId ?? ""));
        },
      });
      access.#keySet = keys;
      access.#verifier = new TokenVerifier({ ...tokens, keys });
    }
    try {
      access.#journal = await ControlJournal.open({
        kv,
        doorbell,
        onEntry: (entry, row) => access.#apply(entry, row),
        onError: (cause) => onWarning("the control journal cannot be read", cause),
      });
    } catch (cause) {
      await access.#keySet?.close();
      throw cause;
    }
    return access;
  }

  /**
   * What the bearer of a token or an API key may do: at once where it was verified before.
   *
   * @throws {Problem} `token_invalid`, `token_expired`, `token_revoked`, `key_invalid`,
   * `keys_unavailable`, `storage_*`
   */
  verify(credential: string): Authority | Promise<Authority> {
    const known = this.#verified.get(credential);
    if (known !== undefined && Date.now() < known.until) return known.authority;
    this.#verified.delete(credential);
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
    if (!await this.#isTrusted(grant)) {
      throw new Problem("ticket_invalid", "What this ticket was made by is no longer trusted.");
    }
    this.#refuseRevoked(grant);
    return { authority: new Authority(grant), origin };
  }

  /**
   * Gives the open stream `id` another credential: true if it is of this isolate, false if the
   * others were told.
   *
   * @throws {Problem} `forbidden` where the stream is of another tenant or subject.
   */
  async swap(id: string, authority: Authority): Promise<boolean> {
    if (this.sessions.replace(id, authority)) return true;
    const { grant } = authority;
    await this.#journal.write({ type: "swap", stream: id, grant }, Date.now() + NOTICE_MS);
    return false;
  }

  /**
   * Ends what is revoked, here and elsewhere; an API key is removed for good. Can be repeated
   * where it failed half-way.
   *
   * @throws {Problem} as {@link Revocations.revoke}
   */
  async revoke(by: Authority, kind: RevocationKind, value: string): Promise<void> {
    // It would revoke nothing, and stand in lists and in the audit channel.
    if (hasSecret(value)) {
      const detail = "Cannot revoke a credential by itself: say its id, not what it is.";
      throw new Problem("bad_parameter", detail);
    }
    await this.revocations.revoke(by.tenant, kind, value);
    if (kind === "key") await this.keys.remove(by.tenant, value);
    await this.#record(by.grant, "credential.revoked", { revoked: kind, value });
  }

  /** An API key has another end than before: what lives by it is to know. */
  async keyChanged(tenant: Tenant, id: string, expiresAt: number): Promise<void> {
    await this.#journal.write({ type: "key", tenant, id, expiresAt }, Date.now() + NOTICE_MS);
  }

  requireGood({ grant }: Authority): void {
    this.#refuseRevoked(grant);
  }

  /** Lets the tenant see, in its audit channel, what was asked for without the right to it. */
  recordDenial({ authority, address }: Caller, detail: string): void {
    if (!this.isOpen) void this.#record(authority.grant, "access.denied", { address, detail });
  }

  async close(): Promise<void> {
    await this.#keySet?.close();
    await this.#journal.close();
  }

  async #verifyAnew(credential: string): Promise<Authority> {
    const changes = this.#keyChanges;
    const grant = credential.startsWith("weir_")
      ? await this.keys.find(credential)
      : await this.#verifyToken(credential);
    if (changes !== this.#keyChanges) return await this.#verifyAnew(credential);
    this.#refuseRevoked(grant);
    const authority = new Authority(grant);
    this.#remember(credential, authority);
    return authority;
  }

  /**
   * Whether a ticket's grant is still one that could be had: its signing key may have gone since,
   * and what stands open to everyone in open mode must not outlast it.
   */
  async #isTrusted({ kind, keyId }: Grant): Promise<boolean> {
    if (kind !== "token") return kind === "key";
    const keys = this.#keySet;
    if (keys === undefined || keyId === undefined) return false;
    const found = await Promise.allSettled(ALGORITHMS.map((name) => keys.find(name, keyId)));
    return found.some(({ status }) => status === "fulfilled");
  }

  async #verifyToken(token: string): Promise<Grant> {
    if (this.#verifier !== undefined) return await this.#verifier.verify(token);
    throw new Problem("token_invalid", "This server takes no tokens: WEIR_JWKS is not set.");
  }

  #refuseRevoked(grant: Grant): void {
    if (!this.revocations.isRevoked(grant)) return;
    throw new Problem("token_revoked", "This credential was revoked.");
  }

  #remember(credential: string, authority: Authority): void {
    const { kind, expiresAt = Infinity } = authority.grant;
    const trusted = kind === "key" ? Date.now() + KEY_TRUST_MS : Infinity;
    this.#verified.set(credential, { authority, until: Math.min(expiresAt, trusted) });
    if (this.#verified.size <= MAX_VERIFIED) return;
    for (const oldest of this.#verified.keys()) {
      this.#verified.delete(oldest);
      return;
    }
  }

  /** Ends what lives by a grant that matches, and has it verified anew where it comes again. */
  #end(matches: (grant: Grant) => boolean): void {
    this.#forget(matches);
    for (const { grant } of this.sessions.revoke(matches)) {
      void this.#record(grant, "session.ended", { reason: "revoked" });
    }
  }

  #forget(matches: (grant: Grant) => boolean): void {
    for (const [credential, { authority }] of this.#verified) {
      if (matches(authority.grant)) this.#verified.delete(credential);
    }
  }

  #apply(entry: ControlEntry, row: Deno.KvKey): void {
    switch (entry.type) {
      case "revocation":
        return this.revocations.apply(entry, row);
      case "swap":
        return this.#applySwap(entry.stream, entry.grant);
      case "key": {
        this.#keyChanges++;
        const { tenant, id, expiresAt } = entry;
        const matches = (grant: Grant) =>
          grant.kind === "key" && grant.tenant === tenant && grant.keyId === id;
        this.#forget(matches);
        this.sessions.limit(matches, expiresAt);
      }
    }
  }

  #applySwap(stream: string, grant: Grant): void {
    if (this.revocations.isRevoked(grant)) return;
    try {
      this.sessions.replace(stream, new Authority(grant));
    } catch (cause) {
      if (!(cause instanceof Problem)) throw cause;
      // Who asked is in another isolate and was told that it was passed on: the tenant may look.
      const { detail } = cause;
      void this.#record(grant, "access.denied", { detail });
    }
  }

  async #record(grant: Grant, type: AuditType, details: AuditDetails): Promise<void> {
    const { tenant, kind, subject, tokenId, keyId } = grant;
    await this.audit.record(tenant, type, { kind, subject, tokenId, keyId, ...details });
  }
}

/** @throws {KeysError} */
async function openKeys(setting: string, options: KeySetOptions): Promise<KeySet> {
  try {
    return await KeySet.open(keySourceOf(setting), options);
  } catch (cause) {
    throw new KeysError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
