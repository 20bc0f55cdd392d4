import { Hono } from "hono";
import { matchedRoutes, routePath } from "hono/route";
import { METHOD_NAME_ALL } from "hono/router";
import { RegExpRouter } from "hono/router/reg-exp-router";
import type { Caller } from "../lib/auth/caller.ts";
import { errorFields } from "../lib/logger.ts";
import type { Server } from "../lib/server.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import { kindOf } from "../lib/shared/problem_codes.ts";
import { authenticate } from "./access.ts";
import { getAsyncApi, getOpenApi } from "./api_documents.ts";
import { getAsset } from "./assets.ts";
import { deleteChannel, getChannel, listChannels, putChannel } from "./channels.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { getDoc, getLlms } from "./docs_page.tsx";
import { readChannel, readChannels } from "./read_events.ts";
import { healthz, readyz } from "./health.ts";
import { postIce } from "./ice.ts";
import { getMetrics, METRICS_PATH } from "./metrics.ts";
import { createKey, deleteKey, listKeys, rotateKey } from "./keys.ts";
import { deleteMember, listMembers, putMember } from "./members.ts";
import {
  addOriginHeaders,
  isHttps,
  preflightResponse,
  refusalHeaders,
  RefusedOriginLog,
  requireAllowed,
} from "./origin.ts";
import { pageResources } from "./pages.ts";
import { methodNotAllowed, problemResponse } from "./problem.ts";
import { publishBody, publishJson } from "./publish_events.ts";
import { requireShortUrl } from "./query.ts";
import { RateLimitDelay } from "./rate_limit_delay.ts";
import { listRevocations, postRevocation } from "./revocations.ts";
import { postSignal } from "./signals.ts";
import { openSocket } from "./socket.ts";
import { postStreamToken } from "./stream_token.ts";
import { deleteTicket, postTicket } from "./tickets.ts";
import { getTransports } from "./transports.ts";

type AppHandler = (c: AppContext) => Response | Promise<Response>;
type PublicHandler = (c: AppContext, server: Server) => Response | Promise<Response>;
type Handler = (c: AppContext, server: Server, caller: Caller) => Response | Promise<Response>;
type Method = "GET" | "POST" | "PUT" | "DELETE";
type Resources<H> = Readonly<Record<string, Readonly<Partial<Record<Method, H>>>>>;

/** Resources for everyone. Their handlers authenticate requests themselves if they have to. */
const PUBLIC: Resources<PublicHandler> = {
  "/assets/:file": { GET: getAsset },
  "/v1/socket": { GET: openSocket },
  "/v1/transports": { GET: getTransports },
  "/v1/tickets": { POST: postTicket, DELETE: deleteTicket },
  "/openapi.json": { GET: getOpenApi },
  "/asyncapi.json": { GET: getAsyncApi },
  "/healthz": { GET: healthz },
  "/readyz": { GET: readyz },
};

/** The documentation to which pages link, on servers with pages. */
const DOCS: Resources<PublicHandler> = {
  "/llms.txt": { GET: getLlms },
  "/docs/:path{.+}": { GET: getDoc },
};

/** Resources for authenticated callers. In open mode that is everyone. */
const GUARDED: Resources<Handler> = {
  "/v1/channels": { GET: listChannels },
  "/v1/channels/:channel": { GET: getChannel, PUT: putChannel, DELETE: deleteChannel },
  "/v1/channels/:channel/members": { GET: listMembers },
  "/v1/channels/:channel/members/:member": { PUT: putMember, DELETE: deleteMember },
  "/v1/channels/:channel/members/:member/signals": { POST: postSignal },
  "/v1/ice": { POST: postIce },
  "/v1/streams/:id/token": { POST: postStreamToken },
  "/v1/keys": { GET: listKeys, POST: createKey },
  "/v1/keys/:id": { DELETE: deleteKey },
  "/v1/keys/:id/rotate": { POST: rotateKey },
  "/v1/revocations": { GET: listRevocations, POST: postRevocation },
};

/**
 * Guarded resources where each microsecond counts. Their handlers set every header themselves. A
 * POST publishes.
 */
const EVENTS: Resources<Handler> = {
  "/v1/channels/:channel/events": { GET: readChannel, POST: publishBody },
  "/v1/events": { GET: readChannels, POST: publishJson },
};

/** Guarded too, unless `WEIR_METRICS` has it elsewhere or nowhere. */
const METRICS: Resources<Handler> = { [METRICS_PATH]: { GET: getMetrics } };

/**
 * Creates the HTTP side of Weir: `app.fetch` answers requests. There is no middleware: Hono calls the
 * only handler of a route directly, which takes 3 µs less.
 */
export function createApp(server: Server): Hono<AppEnv> {
  const { config } = server;
  const app = new Hono<AppEnv>();
  const delay = new RateLimitDelay();
  const refusedOrigins = new RefusedOriginLog(server.logger);
  const open: Resources<PublicHandler> = {
    ...PUBLIC,
    ...config.pages.length > 0 && DOCS,
    ...pageResources(config.pages),
  };
  const guardedResources = config.metrics === "here" ? { ...GUARDED, ...METRICS } : GUARDED;
  addResources(EVENTS, guarded);
  addResources(open, (handler) => withNosniff((c) => handler(c, server)));
  addResources(guardedResources, (handler) => withNosniff(guarded(handler)));
  const allowedMethods = allowedMethodsOf(EVENTS, open, guardedResources);
  const refuseUnknown = checked((c) => {
    const [problem, headers] = noHandler(c, allowedMethods);
    server.meter.problem(problem);
    return problemResponse(problem, headers);
  });
  app.notFound(traced(undefined, refuseUnknown));
  app.onError(refuse);
  return app;

  function addResources<H>(resources: Resources<H>, bind: (handler: H) => AppHandler): void {
    for (const [path, handlers] of Object.entries(resources)) {
      for (const [method, handler] of Object.entries(handlers)) {
        app.on(method, path, traced(path, checked(bind(handler))));
      }
    }
  }

  /** Names the span of each request by its route, if the server is traced. */
  function traced(route: string | undefined, handler: AppHandler): AppHandler {
    const { tracing } = server;
    if (tracing === undefined) return handler;
    return (c) => {
      const { method, url } = c.req.raw;
      tracing.request(method, route, url);
      return handler(c);
    };
  }

  /** Refuses hosts and origins that are not allowed, and lets `handler` answer the others. */
  function checked(handler: AppHandler): AppHandler {
    return (c) => {
      const request = c.req.raw;
      requireShortUrl(request);
      requireAllowed(request, config);
      const origin = request.headers.get("origin");
      const https = isHttps(request, config);
      if (origin === null && !https && !server.stopping.aborted) return handler(c);
      if (origin !== null && request.method === "OPTIONS") return preflightResponse(origin, config);
      return withOriginHeaders(c, handler, { origin, https });
    };
  }

  async function withOriginHeaders(
    c: AppContext,
    handler: AppHandler,
    from: Parameters<typeof addOriginHeaders>[1],
  ): Promise<Response> {
    let response: Response;
    try {
      response = await handler(c);
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause;
      response = await refuse(cause, c);
    }
    addOriginHeaders(response, from, config);
    // What comes next is to reach another server. (HTTP/2 has no such header: it is left out.)
    if (server.stopping.aborted) response.headers.set("Connection", "close");
    return response;
  }

  async function refuse(cause: Error, c: AppContext): Promise<Response> {
    server.meter.problem(cause);
    if (isPublish(c)) server.meter.refused();
    if (cause instanceof Problem && cause.code === "rate_limited") await delay.wait();
    if (cause instanceof Problem && cause.code === "forbidden_origin") {
      const request = c.req.raw;
      refusedOrigins.add(request, cause.detail);
      return problemResponse(cause, refusalHeaders(request));
    }
    return errorResponse(c, server, cause);
  }

  function guarded(handler: Handler): AppHandler {
    return (c) => {
      const caller = authenticate(c, server);
      if (caller instanceof Promise) return caller.then((caller) => answer(c, caller));
      return answer(c, caller);
    };

    function answer(c: AppContext, caller: Caller) {
      if (!server.access.isOpen) c.set("caller", caller);
      return handler(c, server, caller);
    }
  }
}

/** Sets `nosniff` on what the context answers (`c.json`). A `Response` has its own headers. */
function withNosniff(handler: AppHandler): AppHandler {
  return (c) => {
    c.header("X-Content-Type-Options", "nosniff");
    return handler(c);
  };
}

/** Finds the methods of a path: a route for each path, with its `Allow` header. */
function allowedMethodsOf(...all: readonly Resources<unknown>[]): RegExpRouter<string> {
  const router = new RegExpRouter<string>();
  for (const resources of all) {
    for (const [path, handlers] of Object.entries(resources)) {
      const methods = Object.keys(handlers);
      const allow = methods.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]);
      router.add(METHOD_NAME_ALL, path, allow.join(", "));
    }
  }
  return router;
}

/** Returns why nothing answers a request, and the headers that say so. */
function noHandler(
  { req }: AppContext,
  allowedMethods: RegExpRouter<string>,
): [Problem, Readonly<Record<string, string>>] {
  const [[allowed]] = allowedMethods.match(METHOD_NAME_ALL, req.path);
  if (allowed === undefined) return [new Problem("not_found", noResource(req.path)), {}];
  return methodNotAllowed(req.method, allowed[0]);
}

/** Describes a path without a resource. */
function noResource(path: string): string {
  const detail = `No resource ${quote(path)}.`;
  if (!/^\/v1\/channels\/[^/]+\/./.test(path)) return detail;
  return `${detail} A slash in a channel's name is %2F, as in /v1/channels/room%2F7/events.`;
}

function isPublish(c: AppContext): boolean {
  return matchedRoutes(c).some(({ method, path }) =>
    method === "POST" && Object.hasOwn(EVENTS, path)
  );
}

function errorResponse(
  c: AppContext,
  { access, logger }: Pick<Server, "access" | "logger">,
  cause: Error,
): Response {
  const caller = c.get("caller");
  const tenant = caller?.authority.tenant;
  if (!(cause instanceof Problem)) {
    logger.error("request failed", { tenant, path: routePath(c), ...errorFields(cause) });
    const detail = "An unexpected error occurred. It has been logged.";
    return problemResponse(new Problem("internal", detail));
  }
  if (cause.cause !== undefined && kindOf(cause.code) === "storage") {
    logger.warn("the store failed", { tenant, code: cause.code, ...errorFields(cause) });
  }
  if (cause.code === "forbidden" && caller !== undefined) {
    access.audit.recordDenial(caller, cause.detail);
  }
  const headers = cause.code === "upgrade_required" ? { Upgrade: "websocket" } : {};
  return problemResponse(cause, headers);
}
