import type { Doorbell } from "../kv/doorbell.ts";
import type { Log } from "../log/log.ts";
import { DEFAULT_TENANT } from "../shared/channel.ts";
import { Administration } from "./administration.ts";
import { ApiKeyStore } from "./api_key_store.ts";
import { Audit } from "./audit.ts";
import { Authority, type Grant, OPEN } from "./authority.ts";
import { Connections } from "./connections.ts";
import {
  type ApiKeyEntry,
  type ControlEntry,
  ControlJournal,
  NOTICE_MS,
} from "./control_journal.ts";
import { CredentialSwaps } from "./credential_swaps.ts";
import { Credentials } from "./credentials.ts";
import type { KeySource } from "./key_source.ts";
import type { LimitTable } from "./limit_settings.ts";
import { Limiter } from "./limiter.ts";
import { Revocations } from "./revocations.ts";
import type { Scope } from "./scope.ts";
import { SigningKeys, type SigningKeysOptions } from "./signing_keys.ts";
import { TicketStore } from "./ticket_store.ts";

/** The configured signing keys cannot be used. Its message is a sentence for the operator. */
export class KeysError extends Error {
  override readonly name = "KeysError";
}

interface AccessOptions {
  readonly kv: Deno.Kv;
  readonly doorbell: Doorbell;
  readonly log: Pick<Log, "append">;
  /** Whether every request may do everything. */
  readonly isOpen: boolean;
  /** What requests without a credential may do; they are refused if undefined. */
  readonly anonymous: Scope | undefined;
  readonly tokens: {
    readonly jwks: KeySource | undefined;
    readonly issuer: string | undefined;
    readonly audience: string | undefined;
    readonly maxLifetimeMs: number;
    readonly skewMs: number;
  };
  readonly limits: LimitTable;
  /** Receives failures outside of requests; never a credential. */
  readonly onWarning: (message: string, cause?: unknown) => void;
}

/** The parts of one isolate's access control. */
export interface Access {
  readonly isOpen: boolean;
  /** The authority of requests without a credential; they are refused if undefined. */
  readonly anonymous: Authority | undefined;
  readonly credentials: Credentials;
  readonly tickets: TicketStore;
  readonly connections: Connections;
  readonly swaps: CredentialSwaps;
  readonly limiter: Limiter;
  readonly audit: Audit;
  readonly administration: Administration;
  readonly apiKeys: ApiKeyStore;
  readonly revocations: Revocations;
  close(): Promise<void>;
}

/**
 * Opens access control. When it resolves, this isolate knows all revocations.
 *
 * @throws {KeysError}
 * @throws {Problem} `storage_*`
 */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const { kv, doorbell, log, isOpen, tokens, limits, onWarning } = options;
  const audit = new Audit(log, (cause) => onWarning("an audit event was not stored", cause));
  const limiter = createLimiter(limits, audit);
  const apiKeys = new ApiKeyStore(kv);
  const tickets = new TicketStore(kv, {
    onReused: (tenant) => void audit.record(tenant, "ticket.reused", {}),
  });
  const end = (matches: (grant: Grant) => boolean) => {
    endRevoked(access, matches).catch((cause) => {
      onWarning("failed to end revoked connections", cause);
    });
  };
  const revocations = new Revocations({
    write: (entry, expiresAt, replaces) => journal.write(entry, expiresAt, replaces),
    maxTokenLifetimeMs: tokens.maxLifetimeMs,
    skewMs: tokens.skewMs,
    onRevoked: end,
  });
  const connections = new Connections((grant) => credentials.isRevoked(grant));
  const signingKeys = await openSigningKeys(tokens.jwks, {
    warn: (message) => onWarning(message),
    onRemoved: () => {
      credentials.signingKeysChanged();
      end((grant) => !credentials.isSigned(grant));
    },
  });
  const parts = { signingKeys, tokens, apiKeys, tickets, revocations, limiter };
  const credentials = new Credentials(parts);
  const announce = (entry: ControlEntry) => journal.write(entry, Date.now() + NOTICE_MS);
  const access: Access = {
    isOpen,
    anonymous: anonymousAuthority(options),
    credentials,
    tickets,
    connections,
    swaps: new CredentialSwaps({ connections, credentials, audit, announce, onWarning }),
    limiter,
    audit,
    administration: new Administration({
      apiKeys,
      revocations,
      audit,
      announce,
      apply: (entry) => applyKeyChange(access, entry),
      onWarning,
    }),
    apiKeys,
    revocations,
    async close() {
      await signingKeys?.close();
      await journal.close();
      await access.swaps.close();
    },
  };
  const journal: ControlJournal = await ControlJournal.open({
    kv,
    doorbell,
    onEntry: (entry, row) => applyEntry(access, entry, row),
    onError: (cause) => onWarning("the control journal was not read or not applied", cause),
  }).catch(async (cause) => {
    await signingKeys?.close();
    throw cause;
  });
  return access;
}

function createLimiter(limits: LimitTable, audit: Audit): Limiter {
  return new Limiter({
    limits,
    onLimited: ({ authority, ip }, limit, scope) => {
      if (authority === undefined) return;
      void audit.recordBy({ authority, ip }, "limit.exceeded", { limit, scope });
    },
  });
}

/** Applies an entry of the control journal, of any isolate. */
function applyEntry(access: Access, entry: ControlEntry, row: Deno.KvKey): void {
  switch (entry.type) {
    case "revocation":
      return access.revocations.apply(entry, row);
    case "swap":
      return access.swaps.apply(entry);
    case "key":
      return applyKeyChange(access, entry);
  }
}

function applyKeyChange({ credentials, connections }: Access, entry: ApiKeyEntry): void {
  const matches = ({ kind, tenant, keyId }: Grant) =>
    kind === "key" && tenant === entry.tenant && keyId === entry.id;
  credentials.apiKeyChanged(entry, matches);
  connections.limit(matches, entry.expiresAt);
}

/**
 * Ends the connections whose credential is no longer valid, and removes it from the cache.
 *
 * @throws {AggregateError} as {@link Connections.revoke}
 */
async function endRevoked(
  { credentials, connections, audit }: Access,
  matches: (grant: Grant) => boolean,
): Promise<void> {
  credentials.forget(matches);
  await connections.revoke(matches, (authority) => {
    void audit.recordBy({ authority, ip: "" }, "session.ended", { reason: "revoked" });
  });
}

function anonymousAuthority({ isOpen, anonymous }: AccessOptions): Authority | undefined {
  if (isOpen) return OPEN;
  if (anonymous === undefined) return undefined;
  return new Authority({ tenant: DEFAULT_TENANT, kind: "anonymous", scope: anonymous });
}

/** @throws {KeysError} */
async function openSigningKeys(
  source: KeySource | undefined,
  options: SigningKeysOptions,
): Promise<SigningKeys | undefined> {
  if (source === undefined) return undefined;
  try {
    return await SigningKeys.open(source, options);
  } catch (cause) {
    throw new KeysError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
