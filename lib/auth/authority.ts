import {
  type Channel,
  channelOfPresence,
  DEFAULT_TENANT,
  FIGURES_CHANNEL,
  ownerOfInbox,
  type Tenant,
} from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";
import { type CachedPatterns, cachedPatterns, PatternCache } from "./pattern_cache.ts";
import type { Action, Scope } from "./scope.ts";

/** The content of a credential, as plain data that can be stored. */
export interface Grant {
  readonly tenant: Tenant;
  readonly kind: "open" | "anonymous" | "token" | "key";
  /** A token's `sub`: the user. */
  readonly subject?: string | undefined;
  /** A token's `jti`. */
  readonly tokenId?: string | undefined;
  /** The `kid` of the key that signed a token, or the id of an API key. */
  readonly keyId?: string | undefined;
  /** Distinguishes the key that signed a token from a later key with the same `kid`. */
  readonly keyFingerprint?: string | undefined;
  /** Milliseconds since 1970. */
  readonly issuedAt?: number | undefined;
  /** Milliseconds since 1970, including the allowance for clock skew. */
  readonly expiresAt?: number | undefined;
  readonly scope: Scope;
}

/** Starts the publishers that are API keys. */
export const KEY_PREFIX = "key:";

/** Starts the names that no credential proves. */
export const UNPROVEN_PREFIX = "~";

/** Shared by all credentials of the isolate, since many have the same patterns. */
const patternCache = new PatternCache();

/** What a verified credential allows. */
export class Authority {
  readonly grant: Grant;
  readonly tenant: Tenant;
  /** The key under which limits count the credential. */
  readonly credentialId: string;
  /**
   * Who publishes with it, as events say: the subject of a token, `key:` and the id of an API key.
   * Undefined if the credential does not prove who its holder is.
   */
  readonly publisher: string | undefined;
  readonly #patterns: Readonly<Record<Action, CachedPatterns>>;

  constructor(grant: Grant) {
    const { publish, subscribe, presence, manage } = grant.scope;
    this.grant = grant;
    this.tenant = grant.tenant;
    const { tenant, kind, subject, tokenId, keyId } = grant;
    // A user's next token continues with what is left of the limits of the last one.
    this.credentialId = JSON.stringify([tenant, kind, subject ?? tokenId ?? keyId]);
    this.publisher = kind === "key" ? `${KEY_PREFIX}${keyId}` : publisherOf(subject);
    this.#patterns = {
      publish: cachedPatterns(publish),
      subscribe: cachedPatterns(subscribe),
      presence: cachedPatterns(presence),
      manage: cachedPatterns(manage),
    };
  }

  /** Returns whether it has the right. No pattern gives a right to inboxes: see {@link mayRead}. */
  may(action: Action, channel: Channel): boolean {
    if (channel === FIGURES_CHANNEL && this.tenant !== DEFAULT_TENANT) return false;
    if (ownerOfInbox(channel) !== undefined) return false;
    return patternCache.matches(this.#patterns[action], channel);
  }

  /** @throws {Problem} `forbidden`: the same whether or not the channel exists. */
  require(action: Action, channel: Channel): void {
    if (this.may(action, channel)) return;
    throw new Problem(
      "forbidden",
      `This credential may not ${ACTION_WORDS[action]} ${quote(channel)}.`,
    );
  }

  /**
   * Returns whether its holder may be the member `name` of a channel. A token with a subject is
   * always that subject. API keys, and everyone in open mode, may use any name. Everyone else has a
   * name that proves nothing.
   */
  mayBeMember(name: string): boolean {
    const { subject, kind } = this.grant;
    const isUnproven = name.startsWith(UNPROVEN_PREFIX);
    if (subject !== undefined) return name === subject && !isUnproven;
    return kind === "key" || kind === "open" || isUnproven;
  }

  /**
   * Returns whether it may read the channel. A presence channel needs the `presence` right on the
   * channel whose members it is about, not the right to read it. An inbox needs that too, and a
   * credential that may be its member.
   */
  mayRead(channel: Channel): boolean {
    const channelOfMembers = channelOfPresence(channel);
    if (channelOfMembers !== undefined) return this.may("presence", channelOfMembers);
    const inbox = ownerOfInbox(channel);
    if (inbox === undefined) return this.may("subscribe", channel);
    return this.may("presence", inbox.channel) && this.mayBeMember(inbox.member);
  }

  /** @throws {Problem} `forbidden`: the same whether or not the channel exists. */
  requireRead(channel: Channel): void {
    if (this.mayRead(channel)) return;
    const channelOfMembers = channelOfPresence(channel);
    if (channelOfMembers === undefined) this.require("subscribe", channel);
    else this.require("presence", channelOfMembers);
  }

  /** @throws {Problem} `forbidden` */
  requireAdmin(): void {
    if (this.grant.scope.admin) return;
    throw new Problem("forbidden", `This credential has no "admin" right.`);
  }

  /**
   * Requires the right to read metrics. They are about all tenants, so it is one of the tenant
   * `default` only. Guards against administrators of other tenants, who give rights away.
   *
   * @throws {Problem} `forbidden`
   */
  requireMetrics(): void {
    if (this.grant.scope.metrics && this.tenant === DEFAULT_TENANT) return;
    throw new Problem(
      "forbidden",
      `This credential has no "metrics" right in the tenant "${DEFAULT_TENANT}".`,
    );
  }

  isExpired(now: number): boolean {
    return this.grant.expiresAt !== undefined && now >= this.grant.expiresAt;
  }

  /** Returns whether `next` may replace it on an open connection: same tenant and subject. */
  mayBecome({ grant }: Authority): boolean {
    const { tenant, kind, subject } = this.grant;
    if (grant.tenant !== tenant) return false;
    return kind === "anonymous" || (grant.kind !== "anonymous" && grant.subject === subject);
  }
}

/** Returns no subject that could pass as an API key, or as a name that nobody has proven. */
function publisherOf(subject: string | undefined): string | undefined {
  const isOther = subject?.startsWith(KEY_PREFIX) || subject?.startsWith(UNPROVEN_PREFIX);
  return isOther ? undefined : subject;
}

const ACTION_WORDS: Readonly<Record<Action, string>> = {
  publish: "publish to",
  subscribe: "read",
  presence: "use the presence of",
  manage: "manage",
};

const EVERYTHING: Scope = {
  publish: ["**"],
  subscribe: ["**", "$**"],
  presence: ["**"],
  manage: ["**"],
  admin: true,
  metrics: true,
  limits: {},
};

/** The authority of every request in open mode: everything, in the tenant `default`. */
export const OPEN = new Authority({ tenant: DEFAULT_TENANT, kind: "open", scope: EVERYTHING });
