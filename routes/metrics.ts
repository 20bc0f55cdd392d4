import { Hono } from "hono";
import { accepts } from "hono/accepts";
import type { Caller } from "../lib/auth/caller.ts";
import { type Config, isLoopback } from "../lib/config.ts";
import { exposition, EXPOSITION_TYPES, type ExpositionType } from "../lib/metrics/exposition.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { CREDENTIAL, QUERY } from "./api_description/problem_groups.ts";
import { described, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { hostOf, isIp, withoutPort } from "./origin.ts";
import { methodNotAllowed, problemResponse } from "./problem.ts";
import { noQuery, parseQuery, splitUrl } from "./query.ts";

/** Where metrics are, as Prometheus expects it. */
export const METRICS_PATH = "/metrics";

const OPEN_METRICS = "application/openmetrics-text";

/** Headers that proxies add to the requests that they pass on. */
const PROXY_HEADERS = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

export const getMetricsDescription: RouteDescription = {
  id: "getMetrics",
  tag: "Server",
  summary: "Read the metrics of the process",
  text:
    "Needs the right `metrics` in the tenant `default`; in open mode, a client on this machine. `WEIR_METRICS` moves it or turns it off.",
  needsCredential: true,
  query: described(noQuery, {}),
  headers: ["Accept"],
  answers: {
    200: {
      text: "The metrics.",
      other: {
        "text/plain": "Prometheus' text format 0.0.4.",
        [OPEN_METRICS]: "OpenMetrics 1.0.0, if `Accept` prefers it.",
      },
    },
  },
  problems: [...CREDENTIAL, ...QUERY, "forbidden", "not_found"],
};

/**
 * `GET /metrics`: the metrics of this process, for Prometheus. With keys the right `metrics` is
 * needed. In open mode the client must be on this machine: what a proxy passes on is refused.
 */
export async function getMetrics(
  c: AppContext,
  server: Pick<Server, "access" | "metrics">,
  caller: Caller,
): Promise<Response> {
  const { access, metrics } = server;
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  if (access.isOpen) requireLoopbackClient(c);
  access.limiter.subscribe(caller, 1);
  caller.authority.requireMetrics();
  return await answer(c, metrics);
}

/**
 * Creates what answers on a listener of its own (`WEIR_METRICS`): `GET /metrics`, to everyone who
 * reaches it, but not under a name that others may own.
 */
export function createMetricsApp(
  { config, metrics }: Pick<Server, "config" | "metrics">,
): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.get(METRICS_PATH, async (c) => {
    requirePrivateHost(hostOf(c.req.raw), config);
    return await answer(c, metrics);
  });
  app.all(METRICS_PATH, ({ req }) => problemResponse(...methodNotAllowed(req.method, "GET")));
  app.notFound(({ req }) => {
    return problemResponse(new Problem("not_found", `No resource ${quote(req.path)}.`));
  });
  app.onError((cause) => {
    if (cause instanceof Problem) return problemResponse(cause);
    throw cause; // the listener's `onError` logs it
  });
  return app;
}

/**
 * Requires that a request is to an IP address, a name without a dot, or the name in `WEIR_METRICS` or
 * `WEIR_PUBLIC_URL`. Guards against a page whose own name resolves to this address (DNS rebinding):
 * to a browser, metrics under that name are of the page's origin.
 *
 * @throws {Problem} `forbidden_host`
 */
function requirePrivateHost(host: string, { metrics, publicUrls }: Config): void {
  const name = withoutPort(host);
  if (isIp(name) || isLoopback(name) || !name.includes(".")) return;
  if (typeof metrics === "object" && metrics.host.toLowerCase() === name) return;
  if (publicUrls.some((url) => new URL(url).hostname === name)) return;
  throw new Problem(
    "forbidden_host",
    `The host ${quote(host)} is not allowed: use an IP address, or name the host in WEIR_METRICS.`,
  );
}

async function answer(c: AppContext, metrics: Server["metrics"]): Promise<Response> {
  const type = expositionTypeOf(c);
  return new Response(await exposition(await metrics.collect(), type), {
    headers: {
      "Cache-Control": "no-store",
      "Content-Type": EXPOSITION_TYPES[type],
      "Vary": "Accept",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

/** Returns the type that the client prefers: OpenMetrics only if it asks for that. */
function expositionTypeOf(c: AppContext): ExpositionType {
  const chosen = accepts(c, {
    header: "Accept",
    supports: [OPEN_METRICS, "text/plain"],
    default: "text/plain",
    match: (accepted, { supports, default: fallback }) => {
      const wanted = accepted.filter(({ q }) => q > 0).sort((a, b) => b.q - a.q);
      return wanted.find(({ type }) => supports.includes(type.toLowerCase()))?.type ?? fallback;
    },
  });
  return chosen.toLowerCase() === OPEN_METRICS ? "openMetrics" : "prometheus";
}

/** @throws {Problem} `forbidden` */
function requireLoopbackClient(c: AppContext): void {
  const { hostname } = c.env?.remoteAddr ?? {};
  const isProxied = PROXY_HEADERS.some((name) => c.req.raw.headers.has(name));
  if (hostname !== undefined && isLoopback(hostname) && !isProxied) return;
  throw new Problem("forbidden", "Without keys, metrics are for clients on this machine only.");
}
