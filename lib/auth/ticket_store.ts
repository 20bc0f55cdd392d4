import { createHash } from "node:crypto";
import { keys } from "../kv/keys.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import type { Tenant } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { randomBase62 } from "./api_key.ts";
import type { Grant } from "./authority.ts";

/** How long a ticket can be used, in ms. Met: a URL that is found in a log or a history. */
export const TICKET_MS = 30_000;

const PREFIX = "wt_";
/** 190 bits. Met: guessing. */
const SECRET_LENGTH = 32;
const FORM = new RegExp(`^${PREFIX}[0-9A-Za-z]{${SECRET_LENGTH}}$`);

/** Until it is used. */
interface FreshTicket {
  readonly grant: Grant;
  readonly origin: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Afterwards, so that a second use is seen as one. */
interface UsedTicket {
  readonly used: true;
  readonly tenant: Tenant;
  /** Which redemption it was. */
  readonly by: string;
  readonly expiresAt: number;
}

type StoredTicket = FreshTicket | UsedTicket;

interface TicketStoreOptions {
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** Told when a ticket of the tenant is presented again within its 30 s. */
  readonly onReused?: (tenant: Tenant) => void;
}

/**
 * Tickets: single-use stand-ins for a credential, for URLs (RFC 6750 §2.3 warns of what else would
 * stand there). Only their hashes are stored.
 */
export class TicketStore {
  readonly #kv: Deno.Kv;
  readonly #now: () => number;
  readonly #onReused: ((tenant: Tenant) => void) | undefined;

  constructor(kv: Deno.Kv, { now = Date.now, onReused }: TicketStoreOptions = {}) {
    this.#kv = kv;
    this.#now = now;
    this.#onReused = onReused;
  }

  /**
   * A ticket for the holder of `grant`, good for 30 s, and no longer than the grant itself.
   * `expiresAt` is milliseconds since 1970.
   *
   * @param origin that of the page which asked, for who redeems it to compare.
   * @throws {Problem} `storage_*`
   */
  async issue(
    grant: Grant,
    origin: string | undefined,
  ): Promise<{ readonly ticket: string; readonly expiresAt: number }> {
    const ticket = PREFIX + randomBase62(SECRET_LENGTH);
    const expiresAt = Math.min(this.#now() + TICKET_MS, grant.expiresAt ?? Infinity);
    const stored: StoredTicket = { grant, origin, expiresAt };
    const issue = this.#kv.atomic().set(keyOf(ticket), stored, { expireIn: TICKET_MS });
    await withStoreTimeout(retryLocked(() => issue.commit()));
    return { ticket, expiresAt };
  }

  /**
   * What the ticket stands for. It is used up by that, wherever else it is redeemed at the same
   * moment; also when the answer is lost, or the origin turns out to be wrong. Whether the grant
   * was revoked meanwhile is for the caller to look at.
   *
   * @throws {Problem} `ticket_invalid`: the same for one that is unknown, used or expired;
   * `storage_*`
   */
  async redeem(
    ticket: string,
  ): Promise<{ readonly grant: Grant; readonly origin: string | undefined }> {
    if (!FORM.test(ticket)) throw invalid();
    const stored = await withStoreTimeout(this.#claim(keyOf(ticket)));
    if (stored === undefined) throw invalid();
    if ("used" in stored) {
      this.#onReused?.(stored.tenant);
      throw invalid();
    }
    return { grant: stored.grant, origin: stored.origin };
  }

  /** The ticket as it was before: fresh for one caller only. Undefined if unknown or expired. */
  async #claim(key: Deno.KvKey): Promise<StoredTicket | undefined> {
    const entry = await this.#kv.get<StoredTicket>(key);
    const stored = entry.value;
    if (stored === null || this.#now() >= stored.expiresAt) return undefined;
    if ("used" in stored) return stored;
    const { grant: { tenant }, expiresAt } = stored;
    const used: UsedTicket = { used: true, tenant, by: crypto.randomUUID(), expiresAt };
    const claim = this.#kv.atomic().check(entry).set(key, used, { expireIn: TICKET_MS });
    const { ok } = await retryLocked(() => claim.commit());
    if (ok) return stored;
    const now = (await this.#kv.get<StoredTicket>(key)).value ?? undefined;
    // The KV Connect client sends a commit again when its answer was lost: then it is refused.
    return now !== undefined && "used" in now && now.by === used.by ? stored : now;
  }
}

function keyOf(ticket: string): Deno.KvKey {
  return keys.ticket(createHash("sha256").update(ticket).digest("hex"));
}

function invalid(): Problem {
  return new Problem(
    "ticket_invalid",
    `This ticket is unknown, used or expired: a ticket is good once, for ${TICKET_MS / 1_000} s.`,
  );
}
