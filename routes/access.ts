import type { Access } from "../lib/auth/access.ts";
import type { Authority } from "../lib/auth/authority.ts";
import type { Caller, Requester } from "../lib/auth/caller.ts";
import { clientIp } from "../lib/auth/client_ip.ts";
import type { Action } from "../lib/auth/scope.ts";
import type { Config } from "../lib/config.ts";
import type { Channel } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import { kindOf } from "../lib/shared/problem_codes.ts";
import type { Server } from "../lib/server.ts";
import type { AppContext } from "./context.ts";
import { type PresentedCredential, presentedIn } from "./credentials.ts";
import { isOwnOrigin, type RequestHead } from "./origin.ts";

/**
 * Verifies the credential of the request.
 *
 * @throws {Problem} `token_*`, `key_invalid`, `ticket_invalid`, `forbidden_origin`, `rate_limited`
 */
export function identify(
  c: AppContext,
  server: Pick<Server, "access" | "config">,
): Requester | Promise<Requester> {
  const { access, config } = server;
  if (access.isOpen) return { authority: access.anonymous, ip: "" };
  const ip = clientIpOf(c, config);
  const presented = presentedIn(c, config);
  refuseForged(presented, c);
  return verify(presented, { head: c.req.raw, ip }, server);
}

/**
 * Verifies the credential that a request presents.
 *
 * @param from the request, and its client's IP as limits count it.
 * @throws {Problem} `token_*`, `key_invalid`, `ticket_invalid`, `rate_limited`
 */
export function verify(
  presented: PresentedCredential,
  { head, ip }: { readonly head: RequestHead; readonly ip: string },
  server: Pick<Server, "access" | "config">,
): Requester | Promise<Requester> {
  const { access } = server;
  if (presented.by === "nothing") return { authority: access.anonymous, ip };
  const authority = presented.by === "ticket"
    ? redeem(presented.ticket, head, server)
    : access.credentials.verify(presented.credential, ip);
  if (!(authority instanceof Promise)) return { authority, ip };
  return authority.then(
    (authority) => ({ authority, ip }),
    (cause) => countRefused(access, ip, cause),
  );
}

/**
 * Counts a refused credential against the client's IP. A store or keys that are unavailable don't
 * count.
 *
 * @throws `cause`, or {Problem} `rate_limited` if there were too many
 */
export function countRefused(
  { limiter }: Pick<Access, "limiter">,
  ip: string,
  cause: unknown,
): never {
  const isRefusal = cause instanceof Problem && kindOf(cause.code) === "credential";
  if (isRefusal) limiter.countFailedAuthentication(ip);
  throw cause;
}

/** @throws {Problem} as {@link identify}; `unauthenticated` */
export function authenticate(
  c: AppContext,
  server: Pick<Server, "access" | "config">,
): Caller | Promise<Caller> {
  const requester = identify(c, server);
  return requester instanceof Promise
    ? requester.then(requireAuthority)
    : requireAuthority(requester);
}

function requireAuthority({ authority, ip }: Requester): Caller {
  if (authority !== undefined) return { authority, ip };
  throw new Problem(
    "unauthenticated",
    "Authentication required: send a token or API key in `Authorization: Bearer`, a ticket, or the session cookie.",
  );
}

/**
 * Requires the right to do `action` with `channel`. A refusal counts as a subscribe, because it
 * costs the server something too.
 *
 * @throws {Problem} `forbidden`, `rate_limited`
 */
export function requireRight(
  { limiter }: Pick<Access, "limiter">,
  caller: Caller,
  { action, channel }: { readonly action: Action; readonly channel: Channel },
): void {
  if (caller.authority.may(action, channel)) return;
  limiter.subscribe(caller, 1);
  caller.authority.require(action, channel);
}

/** Requires the right to read `channel`. A refusal counts as in {@link requireRight}. */
export function requireRead(
  { limiter }: Pick<Access, "limiter">,
  caller: Caller,
  channel: Channel,
): void {
  if (caller.authority.mayRead(channel)) return;
  limiter.subscribe(caller, 1);
  caller.authority.requireRead(channel);
}

/**
 * Requires the right to do `action` with at least one channel, before the body is read.
 *
 * @throws {Problem} `forbidden`, `rate_limited`
 */
export function requireAnyRight(
  { limiter }: Pick<Access, "limiter">,
  caller: Caller,
  action: Action,
): void {
  if (caller.authority.grant.scope[action].length > 0) return;
  limiter.subscribe(caller, 1);
  throw new Problem("forbidden", `This credential may not ${action} on any channel.`);
}

/** Returns the client's IP, as limits count it. */
function clientIpOf(c: AppContext, { trustedProxies }: Config): string {
  // `Deno.serve` and `deno serve` pass it; an edge platform may not.
  const remote = c.env?.remoteAddr?.hostname ?? "";
  const forwarded = trustedProxies.isEmpty
    ? null // reading the header would cost time for nothing
    : c.req.raw.headers.get("x-forwarded-for");
  return clientIp(remote, forwarded, trustedProxies);
}

/**
 * Refuses requests of other sites that carry the session cookie, which browsers send by themselves.
 * A request that changes something must have an `Origin`, which {@link requireAllowed} has checked.
 * Guards against cross-site request forgery, and against sockets opened by other sites.
 */
function refuseForged(presented: PresentedCredential, c: AppContext): void {
  if (presented.by !== "cookie") return;
  const { headers, method } = c.req.raw;
  const site = headers.get("sec-fetch-site");
  const acts = (method !== "GET" && method !== "HEAD") || headers.get("upgrade") !== null;
  const isForeign = site === "cross-site" && headers.get("origin") === null;
  if ((acts && headers.get("origin") === null) || isForeign) {
    const detail = "A request with the session cookie needs the header Origin of an allowed page.";
    throw new Problem("forbidden_origin", detail);
  }
}

async function redeem(
  ticket: string,
  head: RequestHead,
  { access, config }: Pick<Server, "access" | "config">,
): Promise<Authority> {
  const { authority, origin: issuedTo } = await access.credentials.redeem(ticket);
  const origin = head.headers.get("origin");
  // Browsers omit `Origin` from a page's GET requests to its own server.
  const isSamePage = issuedTo === undefined ||
    (origin === null ? isOwnOrigin(issuedTo, head, config) : origin === issuedTo);
  if (isSamePage) return authority;
  throw new Problem("ticket_invalid", "This ticket was issued to a page of another origin.");
}
