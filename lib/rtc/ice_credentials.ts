import { type Authority, UNPROVEN_PREFIX } from "../auth/authority.ts";
import { Problem } from "../shared/problem.ts";

/** Which servers browsers use to find a way to each other (ICE, RFC 8445). */
export interface IceSettings {
  /** `stun:` and `stuns:` URLs (RFC 7064). */
  readonly stunUrls: readonly string[];
  /** Undefined if there is no TURN server. */
  readonly turn: {
    /** `turn:` and `turns:` URLs (RFC 7065). */
    readonly urls: readonly string[];
    /** The secret that Weir and the TURN servers share. */
    readonly secret: string;
  } | undefined;
  /** Milliseconds that a credential for TURN lives. */
  readonly lifetimeMs: number;
}

/** A server for ICE. The form is `RTCIceServer` of W3C WebRTC §4.2.3. */
interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

/** What a browser needs for the `iceServers` of an `RTCPeerConnection`. */
interface IceServers {
  readonly iceServers: readonly IceServer[];
  /** Milliseconds until the credential for TURN expires, or until the list should be read again. */
  readonly expiresIn: number;
}

/** Bytes of a TURN username; RFC 8489 §14.3 allows fewer than 509. */
const MAX_USERNAME_BYTES = 508;

const utf8 = new TextEncoder();

/**
 * Issues credentials for TURN servers that share a secret with Weir, as in
 * draft-uberti-behave-turn-rest-00. A TURN server accepts a credential until it expires; Weir cannot
 * revoke it, so it lives for minutes.
 */
export class IceCredentials {
  readonly #settings: IceSettings;
  readonly #now: () => number;
  #key: Promise<CryptoKey> | undefined;

  /** @param now returns milliseconds since 1970. */
  constructor(settings: IceSettings, now: () => number = Date.now) {
    this.#settings = settings;
    this.#now = now;
  }

  /**
   * Returns the ICE servers for the holder of `authority`, who needs the right `presence` on some
   * channel. A TURN credential expires with the caller's credential at the latest.
   *
   * @throws {Problem} `forbidden`
   */
  async issue(authority: Authority): Promise<IceServers> {
    const { scope, expiresAt } = authority.grant;
    if (scope.presence.length === 0) {
      throw new Problem("forbidden", `This credential has no "presence" right on any channel.`);
    }
    const { stunUrls, turn, lifetimeMs } = this.#settings;
    const now = this.#now();
    const seconds = Math.floor(Math.min(now + lifetimeMs, expiresAt ?? Infinity) / 1_000);
    const iceServers: IceServer[] = stunUrls.length === 0 ? [] : [{ urls: stunUrls }];
    if (turn !== undefined) {
      const username = await usernameOf(authority, seconds);
      iceServers.push({ urls: turn.urls, username, credential: await this.#sign(username) });
    }
    return { iceServers, expiresIn: Math.max(0, seconds * 1_000 - now) };
  }

  async #sign(username: string): Promise<string> {
    this.#key ??= crypto.subtle.importKey(
      "raw",
      utf8.encode(this.#settings.turn?.secret),
      { name: "HMAC", hash: "SHA-1" },
      false,
      ["sign"],
    );
    const mac = await crypto.subtle.sign("HMAC", await this.#key, utf8.encode(username));
    return new Uint8Array(mac).toBase64();
  }
}

/** Returns `<expiry in seconds>:<tenant>/<who>`, so that a TURN server can limit and log by user. */
async function usernameOf(
  { tenant, publisher, grant }: Authority,
  expiry: number,
): Promise<string> {
  const who = publisher ?? `${UNPROVEN_PREFIX}${grant.kind}`; // no publisher starts like this
  const username = `${expiry}:${tenant}/${who}`;
  const isUsable = utf8.encode(username).length <= MAX_USERNAME_BYTES && !/\p{Cc}/u.test(who);
  if (isUsable) return username;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(who)));
  return `${expiry}:${tenant}/${hash.toHex()}`;
}
