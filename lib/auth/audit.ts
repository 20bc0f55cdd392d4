import type { Draft, Log } from "../log/log.ts";
import type { Caller } from "./caller.ts";
import { AUDIT_CHANNEL, channelKeyOf, type Tenant } from "../shared/channel.ts";
import { JSON_TYPE } from "../shared/event.ts";

/** Events per tenant and second that anyone can provoke. Guards against a flood of writes. */
const MAX_PER_SECOND = 20;

/** The stable names of what is audited: event types in `$audit`. */
type AuditType =
  | "access.denied"
  | "credential.revoked"
  | "key.created"
  | "key.removed"
  | "key.rotated"
  | "limit.exceeded"
  | "session.ended"
  | "ticket.reused"
  | "turn.issued";

/** What anyone can provoke, at any rate; the others need an administrator. */
const PROVOKED: ReadonlySet<AuditType> = new Set([
  "access.denied",
  "limit.exceeded",
  "session.ended",
  "ticket.reused",
  "turn.issued",
]);

/** Names and counts; never a credential or a payload. */
type AuditDetails = Readonly<Record<string, string | number | boolean | undefined>>;

const utf8 = new TextEncoder();

/** Writes security events of a tenant into its own `$audit` channel. */
export class Audit {
  readonly #log: Pick<Log, "append">;
  readonly #onError: (cause: unknown) => void;
  readonly #now: () => number;
  #second = 0;
  /** Provoked events of each tenant in this second. */
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
   * Resolves when the event is durable. An administrator's actions are always recorded, or this
   * throws. Other events are dropped above 20 per second and tenant; the next recorded event has
   * their count as `suppressed`. If storing one of those fails, `onError` receives the cause.
   *
   * @throws {Problem} `storage_*`, `overloaded`: only for an administrator's actions.
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

  /** Records that the caller had no right to what it requested; does nothing in open mode. */
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
      publisher: undefined,
      ttlMs: undefined,
      isEssential: !PROVOKED.has(type), // credentials can be revoked while the disk is full
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
