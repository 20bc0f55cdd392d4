import type { MiddlewareHandler } from "hono";
import { type Config, isLoopback } from "../lib/config.ts";
import { Problem, quote } from "../lib/shared/problem.ts";

const EXPOSED = "ETag, Weir-Cursor, Retry-After";
const ALLOWED_HEADERS =
  "Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Weir-Type, Weir-Key, Weir-TTL";
const ALLOWED_METHODS = "GET, HEAD, POST, PUT, DELETE";

/**
 * Without keys everyone who reaches Weir may do everything, so it must be reached from this
 * machine alone. Met: a web page elsewhere that posts to, or reads from, somebody's localhost, also
 * under a name that it made point there (DNS rebinding).
 */
export function openModeAccess({ origins }: Config): MiddlewareHandler {
  return async function openModeAccess(c, next) {
    const { headers } = c.req.raw;
    const host = headers.get("host") ?? "";
    if (!isLoopback(host.replace(/:\d*$/, ""))) {
      throw new Problem(
        "forbidden_host",
        `Cannot serve the host ${
          quote(host)
        }: without keys Weir answers only to loopback names such as localhost.`,
      );
    }
    const origin = headers.get("origin");
    if (origin === null) return await next();
    if (!isAllowedOrigin(origin, origins)) {
      throw new Problem(
        "forbidden_origin",
        `Cannot serve pages of ${
          quote(origin)
        }: without keys Weir answers only to loopback origins and those in WEIR_ORIGINS.`,
      );
    }
    if (c.req.raw.method === "OPTIONS") {
      return c.body(null, 204, {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Headers": ALLOWED_HEADERS,
        "Access-Control-Allow-Methods": ALLOWED_METHODS,
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
      });
    }
    await next();
    if (c.res.status === 101) return; // an upgraded socket has no headers to add
    c.res.headers.set("Access-Control-Allow-Origin", origin);
    c.res.headers.set("Access-Control-Expose-Headers", EXPOSED);
    c.res.headers.append("Vary", "Origin");
  };
}

function isAllowedOrigin(origin: string, allowed: readonly string[]): boolean {
  if (allowed.includes(origin)) return true;
  if (!URL.canParse(origin)) return false; // "null" too
  const { protocol, hostname } = new URL(origin);
  return (protocol === "http:" || protocol === "https:") && isLoopback(hostname);
}
