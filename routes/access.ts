import type { Context, MiddlewareHandler } from "hono";
import type { Access } from "../lib/auth/access.ts";
import type { Authority } from "../lib/auth/authority.ts";
import type { Caller, Requester } from "../lib/auth/caller.ts";
import { clientIp } from "../lib/auth/client_ip.ts";
import type { Action } from "../lib/auth/scope.ts";
import { type Config, isLoopback } from "../lib/config.ts";
import type { Channel } from "../lib/shared/channel.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import { kindOf } from "../lib/shared/problem_codes.ts";
import type { Server } from "../lib/server.ts";
import {
  hostOf,
  isHttps,
  isOwnHost,
  isOwnOrigin,
  type PresentedCredential,
  presentedIn,
} from "./credentials.ts";
import { checkRequestSize } from "./request_size.ts";

const EXPOSED =
  "ETag, RateLimit, RateLimit-Policy, Retry-After, Weir-Cursor, Weir-Heartbeat, Weir-Stream, WWW-Authenticate";
const ALLOWED_HEADERS =
  "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Weir-Ephemeral, Weir-Type, Weir-Key, Weir-TTL";
const ALLOWED_METHODS = "GET, HEAD, POST, PUT, DELETE";
/** A year. Not for subdomains: they may be somebody else's. */
const HSTS = "max-age=31536000";

/**
 * Lets through what comes to one of Weir's own names, and from browsers only what pages of Weir
 * itself and of allowed origins send. Met: a web page elsewhere that posts to, reads from or opens
 * a socket to a Weir that its visitor can reach, also under a name that it made point there (DNS
 * rebinding).
 */
export function guardOrigin(config: Config): MiddlewareHandler {
  return async function guardOrigin(c, next) {
    checkRequestSize(c.req.raw);
    const { headers, method } = c.req.raw;
    const host = hostOf(c.req.raw);
    if (!isOwnHost(host, config)) throw forbiddenHost(host, config);
    const origin = headers.get("origin");
    if (origin !== null && !isAllowedOrigin(origin, c.req.raw, config)) {
      throw forbiddenOrigin(origin, config);
    }
    if (origin !== null && method === "OPTIONS") {
      return c.body(null, 204, {
        ...corsHeaders(origin, config),
        "Access-Control-Allow-Headers": ALLOWED_HEADERS,
        "Access-Control-Allow-Methods": ALLOWED_METHODS,
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
      });
    }
    await next();
    if (c.res.status === 101) return; // an upgraded socket has no headers to add
    if (isHttps(c.req.raw, config)) c.res.headers.set("Strict-Transport-Security", HSTS);
    if (origin === null) return;
    for (const [name, value] of Object.entries(corsHeaders(origin, config))) {
      c.res.headers.set(name, value);
    }
    c.res.headers.set("Access-Control-Expose-Headers", EXPOSED);
    c.res.headers.append("Vary", "Origin");
  };
}

function corsHeaders(origin: string, config: Config): Readonly<Record<string, string>> {
  const allow = { "Access-Control-Allow-Origin": origin };
  // In open mode there is nothing to send along.
  return config.isOpen ? allow : { ...allow, "Access-Control-Allow-Credentials": "true" };
}

function isAllowedOrigin(origin: string, request: Request, config: Config): boolean {
  if (config.origins.includes(origin) || isOwnOrigin(origin, request, config)) return true;
  if (!config.isOpen || !URL.canParse(origin)) return false; // "null" too
  const { protocol, hostname } = new URL(origin);
  return (protocol === "http:" || protocol === "https:") && isLoopback(hostname);
}

function forbiddenHost(host: string, { isOpen }: Config): Problem {
  const why = isOpen
    ? "without keys Weir answers only to loopback names such as localhost"
    : "WEIR_PUBLIC_URL names those under which Weir is reached";
  return new Problem("forbidden_host", `Cannot serve the host ${quote(host)}: ${why}.`);
}

function forbiddenOrigin(origin: string, { isOpen }: Config): Problem {
  const why = isOpen
    ? "without keys Weir answers only to loopback origins and those in WEIR_ORIGINS"
    : "WEIR_ORIGINS names those that may";
  return new Problem("forbidden_origin", `Cannot serve pages of ${quote(origin)}: ${why}.`);
}

/**
 * Who the request is from.
 *
 * @throws {Problem} `token_*`, `key_invalid`, `ticket_invalid`, `forbidden_origin`, `rate_limited`
 */
export function identify(c: Context, server: Server): Requester | Promise<Requester> {
  const { access, config } = server;
  if (access.isOpen) return { authority: access.anonymous, ip: "" };
  const ip = clientIpOf(c, config);
  const presented = presentedIn(c, config);
  if (presented.by === "nothing") return { authority: access.anonymous, ip };
  refuseForged(presented, c, config);
  const authority = presented.by === "ticket"
    ? redeem(presented.ticket, c, server)
    : access.credentials.verify(presented.credential, ip);
  if (!(authority instanceof Promise)) return { authority, ip };
  return authority.then(
    (authority) => ({ authority, ip }),
    (cause) => countRefused(access, ip, cause),
  );
}

/**
 * Counts a credential that was refused; a store or keys that are away are nobody's fault.
 *
 * @throws what it is given; {Problem} `rate_limited` instead where there were too many.
 */
export function countRefused({ limiter }: Access, ip: string, cause: unknown): never {
  const isRefusal = cause instanceof Problem && kindOf(cause.code) === "credential";
  if (isRefusal) limiter.countFailedAuthentication(ip);
  throw cause;
}

/** @throws {Problem} as {@link identify}; `unauthenticated` */
export function authenticate(c: Context, server: Server): Caller | Promise<Caller> {
  const requester = identify(c, server);
  return requester instanceof Promise
    ? requester.then(requireAuthority)
    : requireAuthority(requester);
}

function requireAuthority({ authority, ip }: Requester): Caller {
  if (authority !== undefined) return { authority, ip };
  throw new Problem(
    "unauthenticated",
    "Say who you are: Authorization: Bearer with a token or an API key, a ticket, or the session cookie.",
  );
}

/**
 * Lets the caller do `action` with the channel. What it may not do counts as a subscribe: asking
 * for it costs too.
 *
 * @throws {Problem} `forbidden`, `rate_limited`
 */
export function requireRight(
  { access }: Server,
  caller: Caller,
  action: Action,
  channel: Channel,
): void {
  if (caller.authority.may(action, channel)) return;
  access.limiter.subscribe(caller, 1);
  caller.authority.require(action, channel);
}

/** Lets the caller read the channel, as {@link requireRight} does. */
export function requireRead({ access }: Server, caller: Caller, channel: Channel): void {
  if (caller.authority.mayRead(channel)) return;
  access.limiter.subscribe(caller, 1);
  caller.authority.requireRead(channel);
}

/**
 * Refuses who has the right to no channel at all, before anything is read for it.
 *
 * @throws {Problem} `forbidden`, `rate_limited`
 */
export function requireAnyRight({ access }: Server, caller: Caller, action: Action): void {
  if (caller.authority.grant.scope[action].length > 0) return;
  access.limiter.subscribe(caller, 1);
  throw new Problem("forbidden", `This credential may not ${action} in any channel.`);
}

/** Where the request comes from, as limits count it. */
function clientIpOf(c: Context, { trustedProxies }: Config): string {
  // `Deno.serve` and `deno serve` give it; an edge platform's own entry may not.
  const remote: unknown = c.env?.remoteAddr?.hostname;
  const forwarded = trustedProxies.isEmpty
    ? null // nobody is believed, so it costs nothing
    : c.req.raw.headers.get("x-forwarded-for");
  return clientIp(typeof remote === "string" ? remote : "", forwarded, trustedProxies);
}

/**
 * A browser sends the cookie along by itself, so what acts on it must come from a page that may:
 * such a request has an `Origin`, which was checked. Met: cross-site request forgery, and sockets
 * opened by other sites.
 */
function refuseForged(presented: PresentedCredential, c: Context, config: Config): void {
  if (presented.by !== "cookie") return;
  const { headers, method } = c.req.raw;
  const site = headers.get("sec-fetch-site");
  const acts = (method !== "GET" && method !== "HEAD") || headers.get("upgrade") !== null;
  const isForeign = site === "cross-site" && headers.get("origin") === null;
  if ((acts && headers.get("origin") === null) || isForeign) throw forbiddenOrigin("", config);
}

async function redeem(ticket: string, c: Context, { access, config }: Server): Promise<Authority> {
  const { authority, origin: issuedTo } = await access.credentials.redeem(ticket);
  const request = c.req.raw;
  const origin = request.headers.get("origin");
  // Browsers leave `Origin` out of a page's GETs to its own server.
  const isIts = issuedTo === undefined ||
    (origin === null ? isOwnOrigin(issuedTo, request, config) : origin === issuedTo);
  if (isIts) return authority;
  throw new Problem("ticket_invalid", "This ticket was made for pages of another origin.");
}
