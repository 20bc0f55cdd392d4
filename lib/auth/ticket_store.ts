import { createHash } from "node:crypto";
import { keys } from "../kv/keys.ts";
import { retryLocked } from "../kv/commit_retry.ts";
import { withStoreTimeout } from "../kv/storage_problem.ts";
import type { Tenant } from "../shared/channel.ts";
import { Problem } from "../shared/problem.ts";
import { randomBase62 } from "./api_key.ts";
import type { Grant } from "./authority.ts";

/** How long a ticket is valid, in ms. Guards against a URL found in a log or a history. */
export const TICKET_MS = 30_000;

const PREFIX = "wt_";
/** 190 bits. Guards against guessing. */
const SECRET_LENGTH = 32;
const FORM = new RegExp(`^${PREFIX}[0-9A-Za-z]{${SECRET_LENGTH}}$`);

/** A ticket that was not used yet. */
interface FreshTicket {
  readonly grant: Grant;
  readonly origin: string | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** A ticket that was used, kept to recognize a second use. */
interface UsedTicket {
  readonly used: true;
  readonly tenant: Tenant;
  /** The id of the redemption. */
  readonly by: string;
  readonly expiresAt: number;
}

type StoredTicket = FreshTicket | UsedTicket;

interface TicketStoreOptions {
  /** Milliseconds since 1970. @default {Date.now} */
  readonly now?: () => number;
  /** Called when a used ticket of the tenant is presented again within its 30 s. */
  readonly onReused?: (tenant: Tenant) => void;
}

/**
 * Issues and redeems tickets: single-use replacements for a credential in URLs, where RFC 6750 §2.3
 * warns against tokens. Only their hashes are stored.
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
   * Issues a ticket for `grant` that is valid for 30 s, but not longer than the grant.
   *
   * @param origin the origin of the page that requested it; {@link redeem} returns it.
   * @returns the ticket and its expiry, in milliseconds since 1970.
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
   * Uses up a ticket and returns its grant. Of concurrent calls, in any isolate, one succeeds. The
   * ticket is used up even if the answer is lost or the origin turns out to be wrong. The caller
   * must check whether the grant was revoked since.
   *
   * @throws {Problem} `ticket_invalid`: the same for an unknown, used or expired ticket; `storage_*`
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

  /** Marks a ticket as used and returns it as it was before; undefined if unknown or expired. */
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
    // The KV Connect client repeats a commit whose answer was lost, and then the check fails.
    return now !== undefined && "used" in now && now.by === used.by ? stored : now;
  }
}

function keyOf(ticket: string): Deno.KvKey {
  return keys.ticket(createHash("sha256").update(ticket).digest("hex"));
}

function invalid(): Problem {
  return new Problem(
    "ticket_invalid",
    `This ticket is unknown, used or expired. A ticket is valid once, for ${TICKET_MS / 1_000} s.`,
  );
}
