import type { Draft, Log } from "../log/log.ts";
import type { Caller } from "./caller.ts";
import { AUDIT_CHANNEL, channelKeyOf, type Tenant } from "../shared/channel.ts";
import { JSON_TYPE } from "../shared/event.ts";

/** Provoked events of one tenant a second. Met: a flood of refusals that becomes one of writes. */
const MAX_PER_SECOND = 20;

/** What happened, by its stable name: the event's type in `$audit`. */
export const AUDIT_TYPES = [
  "access.denied",
  "credential.revoked",
  "key.created",
  "key.removed",
  "key.rotated",
  "limit.exceeded",
  "session.ended",
  "ticket.reused",
] as const;
export type AuditType = typeof AUDIT_TYPES[number];

/** What anyone can bring about, as often as they like; the others are an administrator's. */
const PROVOKED: ReadonlySet<AuditType> = new Set<AuditType>([
  "access.denied",
  "limit.exceeded",
  "session.ended",
  "ticket.reused",
]);

/** Names and counts. Never a credential or a payload. */
export type AuditDetails = Readonly<Record<string, string | number | boolean | undefined>>;

const utf8 = new TextEncoder();

/**
 * Writes what concerns a tenant's security into the tenant's own `$audit` channel: durable, and
 * read like any other.
 */
export class Audit {
  readonly #log: Pick<Log, "append">;
  readonly #onError: (cause: unknown) => void;
  readonly #now: () => number;
  #second = 0;
  /** Events of each tenant in this second. */
  #counts = new Map<Tenant, number>();
  readonly #suppressed = new Map<Tenant, number>();

  constructor(
    log: Pick<Log, "append">,
    onError: (cause: unknown) => void,
    now: () => number = Date.now,
  ) {
    this.#log = log;
    this.#onError = onError;
    this.#now = now;
  }

  /**
   * Resolves when it is durable. What an administrator does always becomes so, or this throws. Of
   * what anyone can provoke, past 20 events a second of one tenant the rest is only counted (the
   * count stands in the next event as `suppressed`), and `onError` is told of what failed.
   *
   * @throws {Problem} `storage_*`, `overloaded`, of what an administrator does.
   */
  async record(tenant: Tenant, type: AuditType, details: AuditDetails): Promise<void> {
    if (!PROVOKED.has(type)) return await this.#append(tenant, type, details);
    if (!this.#isWithinRate(tenant)) return;
    try {
      await this.#append(tenant, type, details);
    } catch (cause) {
      this.#onError(cause);
    }
  }

  /**
   * Records in the caller's tenant what the caller did.
   *
   * @throws {Problem} as {@link record}
   */
  async recordBy(
    { authority, ip }: Caller,
    type: AuditType,
    details: AuditDetails,
  ): Promise<void> {
    const { tenant, kind, subject, tokenId, keyId } = authority.grant;
    const by = { kind, subject, tokenId, keyId, address: ip === "" ? undefined : ip };
    await this.record(tenant, type, { ...by, ...details });
  }

  /** Records that the caller requested something without the right to it; not in open mode. */
  recordDenial(by: Caller, detail: string): void {
    if (by.authority.grant.kind === "open") return;
    void this.recordBy(by, "access.denied", { detail });
  }

  async #append(tenant: Tenant, type: AuditType, details: AuditDetails): Promise<void> {
    const suppressed = this.#suppressed.get(tenant);
    this.#suppressed.delete(tenant);
    const data = JSON.stringify({ ...details, suppressed });
    const draft: Draft = {
      channelKey: channelKeyOf(tenant, AUDIT_CHANNEL),
      id: undefined,
      type,
      contentType: JSON_TYPE,
      data,
      bytes: utf8.encode(data).length,
      key: undefined,
      ttlMs: undefined,
    };
    await this.#log.append([draft]);
  }

  #isWithinRate(tenant: Tenant): boolean {
    const second = Math.floor(this.#now() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#counts = new Map();
    }
    const count = this.#counts.get(tenant) ?? 0;
    this.#counts.set(tenant, count + 1);
    if (count < MAX_PER_SECOND) return true;
    this.#suppressed.set(tenant, (this.#suppressed.get(tenant) ?? 0) + 1);
    return false;
  }
}
