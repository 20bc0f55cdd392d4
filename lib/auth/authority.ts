import {
  type Channel,
  DEFAULT_TENANT,
  FIGURES_CHANNEL,
  type Tenant,
  watchedChannel,
} from "../shared/channel.ts";
import { Problem, quote } from "../shared/problem.ts";
import { type CachedPatterns, cachedPatterns, PatternCache } from "./pattern_cache.ts";
import type { Action, Scope } from "./scope.ts";

/** What a credential says, as plain data that a store can keep. */
export interface Grant {
  readonly tenant: Tenant;
  readonly kind: "open" | "anonymous" | "token" | "key";
  /** Who it is: a token's `sub`. */
  readonly subject?: string | undefined;
  /** A token's `jti`. */
  readonly tokenId?: string | undefined;
  /** The `kid` of the key that signed a token, or the id of an API key. */
  readonly keyId?: string | undefined;
  /** Tells the key that signed a token from another that has its `kid` later. */
  readonly keyFingerprint?: string | undefined;
  /** Milliseconds since 1970. */
  readonly issuedAt?: number | undefined;
  /** Milliseconds since 1970 at which it ends, allowance for clocks included. */
  readonly expiresAt?: number | undefined;
  readonly scope: Scope;
}

/** An isolate's: what it finds out is the same for every credential with the same patterns. */
const patternCache = new PatternCache();

/** What the holder of one verified credential may do. */
export class Authority {
  readonly grant: Grant;
  readonly tenant: Tenant;
  /** Names the credential where uses of it are counted. */
  readonly credentialId: string;
  readonly #patterns: Readonly<Record<Action, CachedPatterns>>;

  constructor(grant: Grant) {
    const { publish, subscribe, presence, manage } = grant.scope;
    this.grant = grant;
    this.tenant = grant.tenant;
    const { tenant, kind, subject, tokenId, keyId } = grant;
    // A person's next token goes on with what the last one has left.
    this.credentialId = JSON.stringify([tenant, kind, subject ?? tokenId ?? keyId]);
    this.#patterns = {
      publish: cachedPatterns(publish),
      subscribe: cachedPatterns(subscribe),
      presence: cachedPatterns(presence),
      manage: cachedPatterns(manage),
    };
  }

  may(action: Action, channel: Channel): boolean {
    if (channel === FIGURES_CHANNEL && this.tenant !== DEFAULT_TENANT) return false;
    return patternCache.matches(this.#patterns[action], channel);
  }

  /** @throws {Problem} `forbidden`: the same whether or not the channel exists. */
  require(action: Action, channel: Channel): void {
    if (this.may(action, channel)) return;
    throw new Problem(
      "forbidden",
      `This credential has no right to ${WORDS[action]} ${quote(channel)}.`,
    );
  }

  /**
   * Whether it may read the channel, on whatever transport. Who reads the changes of a presence
   * needs the right to that, and none to read the channel itself.
   */
  mayRead(channel: Channel): boolean {
    const watched = watchedChannel(channel);
    return watched === undefined ? this.may("subscribe", channel) : this.may("presence", watched);
  }

  /** @throws {Problem} `forbidden`: the same whether or not the channel exists. */
  requireRead(channel: Channel): void {
    if (this.mayRead(channel)) return;
    const watched = watchedChannel(channel);
    if (watched === undefined) this.require("subscribe", channel);
    else this.require("presence", watched);
  }

  /** @throws {Problem} `forbidden` */
  requireAdmin(): void {
    if (this.grant.scope.admin) return;
    throw new Problem("forbidden", `This credential has no "admin" right.`);
  }

  isExpired(now: number): boolean {
    return this.grant.expiresAt !== undefined && now >= this.grant.expiresAt;
  }

  /** Whether `next` may take its place on an open connection: the same tenant and person. */
  mayBecome({ grant }: Authority): boolean {
    const { tenant, kind, subject } = this.grant;
    if (grant.tenant !== tenant) return false;
    return kind === "anonymous" || (grant.kind !== "anonymous" && grant.subject === subject);
  }
}

const WORDS: Readonly<Record<Action, string>> = {
  publish: "publish to",
  subscribe: "read",
  presence: "take part in the presence of",
  manage: "manage",
};

const EVERYTHING: Scope = {
  publish: ["**"],
  subscribe: ["**", "$**"],
  presence: ["**"],
  manage: ["**"],
  admin: true,
  limits: {},
};

/** Without keys everyone who reaches Weir may do everything, in the one tenant that there is. */
export const OPEN = new Authority({ tenant: DEFAULT_TENANT, kind: "open", scope: EVERYTHING });
