import { isIPv4, isIPv6 } from "node:net";
import { type Config, isLoopback } from "../lib/config.ts";
import type { Logger } from "../lib/logger.ts";
import { Problem, quote } from "../lib/shared/problem.ts";

const EXPOSED =
  "ETag, RateLimit, RateLimit-Policy, Retry-After, Weir-Cursor, Weir-Heartbeat, Weir-Stream, WWW-Authenticate";
const ALLOWED_HEADERS =
  "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Traceparent, Tracestate, Weir-Ephemeral, Weir-Type, Weir-Key, Weir-TTL";
const ALLOWED_METHODS = "GET, HEAD, POST, PUT, DELETE";
/** Guards against a client that fills the log, and memory, with origins that it makes up. */
const MAX_LOGGED_ORIGINS = 100;
/** One year. Subdomains are not included: they may belong to others. */
const HSTS = "max-age=31536000";

/** The part of a request that says where it is from and where it goes. */
export interface RequestHead {
  readonly url: string;
  readonly headers: Pick<Headers, "get">;
}

/** Answers a browser that asks, before the request itself, what a page of `origin` may do. */
export function preflightResponse(origin: string, config: Config): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...corsHeaders(origin, config),
      "Access-Control-Allow-Headers": ALLOWED_HEADERS,
      "Access-Control-Allow-Methods": ALLOWED_METHODS,
      "Access-Control-Max-Age": "600",
      "Vary": "Origin",
    },
  });
}

/** Adds what a client over HTTPS, or a page of the allowed `origin`, needs in addition to the answer. */
export function addOriginHeaders(
  { headers, status }: Response,
  { origin, https }: { readonly origin: string | null; readonly https: boolean },
  config: Config,
): void {
  if (status === 101) return; // an upgraded socket has no headers to add
  if (https) headers.set("Strict-Transport-Security", HSTS);
  if (origin === null) return;
  for (const [name, value] of Object.entries(corsHeaders(origin, config))) headers.set(name, value);
  headers.set("Access-Control-Expose-Headers", EXPOSED);
  headers.append("Vary", "Origin");
}

/**
 * Requires that a request is to one of Weir's own names, or with keys to an IP address, and if a page
 * sends it, that the page is Weir's own or of an allowed origin. Guards against a web page of another
 * origin that uses a Weir which its visitor can reach, also under a name that resolves to Weir's IP
 * (DNS rebinding).
 *
 * @throws {Problem} `forbidden_host`, `forbidden_origin`
 */
export function requireAllowed(head: RequestHead, config: Config): void {
  const host = hostOf(head);
  if (!isOwnHost(host, config)) throw forbiddenHost(host, config);
  const origin = head.headers.get("origin");
  if (origin === null || isAllowedOrigin(origin, head, config)) return;
  throw forbiddenOrigin(origin, config);
}

function corsHeaders(origin: string, config: Config): Readonly<Record<string, string>> {
  const allow = { "Access-Control-Allow-Origin": origin };
  // Open mode has no credentials.
  return config.isOpen ? allow : { ...allow, "Access-Control-Allow-Credentials": "true" };
}

function isAllowedOrigin(origin: string, head: RequestHead, config: Config): boolean {
  if (config.origins.includes(origin) || isOwnOrigin(origin, head, config)) return true;
  if (!config.isOpen || !URL.canParse(origin)) return false; // also for "null"
  const { protocol, hostname } = new URL(origin);
  return (protocol === "http:" || protocol === "https:") && isLoopback(hostname);
}

function forbiddenHost(host: string, { isOpen }: Config): Problem {
  const why = isOpen
    ? "without keys Weir serves only loopback names and those in WEIR_PUBLIC_URL"
    : "add its origin to WEIR_PUBLIC_URL";
  return new Problem("forbidden_host", `The host ${quote(host)} is not allowed: ${why}.`);
}

/** Creates the refusal of a request from a page of `origin`. */
function forbiddenOrigin(origin: string, { isOpen }: Config): Problem {
  const why = isOpen
    ? "without keys Weir serves only loopback origins and those in WEIR_ORIGINS"
    : "add it to WEIR_ORIGINS";
  return new Problem("forbidden_origin", `The origin ${quote(origin)} is not allowed: ${why}.`);
}

/**
 * Returns headers with which a page can read that its origin is refused. Only the refusal: a
 * preflight stays refused, and nothing else of Weir can be read.
 */
export function refusalHeaders({ headers, method }: Request): Readonly<Record<string, string>> {
  if (headers.get("origin") === null || method === "OPTIONS") return {};
  // Not the origin itself: a client may have put a credential there by mistake.
  return { "Access-Control-Allow-Origin": "*", "Vary": "Origin" };
}

/**
 * Logs the refusal of each origin once, with its remedy. Guards against clients that fill the log
 * with made-up origins.
 */
export class RefusedOriginLog {
  readonly #logger: Pick<Logger, "warn">;
  readonly #origins = new Set<string>();

  constructor(logger: Pick<Logger, "warn">) {
    this.#logger = logger;
  }

  /** @param detail of the refusal; it says what to do. */
  add({ headers }: RequestHead, detail: string): void {
    const origin = headers.get("origin");
    if (origin === null) return; // refused for having none
    const shown = quote(origin);
    if (this.#origins.has(shown) || this.#origins.size >= MAX_LOGGED_ORIGINS) return;
    this.#origins.add(shown);
    this.#logger.warn(detail);
    if (this.#origins.size === MAX_LOGGED_ORIGINS) {
      this.#logger.warn("Many origins were refused. Further ones are not logged until a restart.");
    }
  }
}

/** Returns the requested host in lower case. HTTP/2 has it in the URL only. */
export function hostOf({ headers, url }: RequestHead): string {
  return (headers.get("host") ?? new URL(url).host).toLowerCase();
}

/** Returns whether the client uses HTTPS, either to this server or to a proxy in front. */
export function isHttps(head: RequestHead, config: Config): boolean {
  if (config.tls !== undefined) return true;
  return config.publicUrls.length > 0 && config.publicUrls.includes(`https://${hostOf(head)}`);
}

/**
 * Returns whether `host` is one of Weir's own names. With keys an IP address is one too: health checks
 * and scrapes use it, and no page of another origin can be under it.
 */
function isOwnHost(host: string, { publicUrls, isOpen }: Config): boolean {
  const name = withoutPort(host);
  if (isLoopback(name)) return true;
  if (publicUrls.some((url) => url.slice(url.indexOf("//") + 2) === host)) return true;
  return !isOpen && isIp(name);
}

/** Returns a host without its port. An IPv6 address stays in brackets. */
export function withoutPort(host: string): string {
  return host.replace(/:\d*$/, "");
}

/** Returns whether a host without port is an IP address: IPv4, or IPv6 in brackets. */
export function isIp(name: string): boolean {
  return isIPv4(name) || /^\[.*\]$/.test(name) && isIPv6(name.slice(1, -1));
}

/** Returns whether `origin` is Weir's own. */
export function isOwnOrigin(origin: string, head: RequestHead, config: Config): boolean {
  if (config.publicUrls.includes(origin)) return true;
  const host = hostOf(head);
  if (!isLoopback(withoutPort(host))) return false;
  return origin === `${config.tls === undefined ? "http" : "https"}://${host}`;
}
