import { type Context, Hono } from "hono";
import { errorFields } from "../lib/logger.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Weir } from "../lib/weir.ts";
import { openModeAccess } from "./access.ts";
import { getAsset } from "./assets.ts";
import { deleteChannel, getChannel, listChannels, putChannel } from "./channels.ts";
import { readChannel, readChannels } from "./events.ts";
import { healthz, readyz } from "./health.ts";
import { getPage } from "./page.tsx";
import { problemResponse } from "./problem.ts";
import { publishBody, publishJson } from "./publish.ts";
import { openSocket } from "./socket.ts";

type Handler = (c: Context, weir: Weir) => Response | Promise<Response>;
type Method = "GET" | "POST" | "PUT" | "DELETE";

/** Every resource and what can be done with it. */
const RESOURCES: Readonly<Record<string, Readonly<Partial<Record<Method, Handler>>>>> = {
  "/": { GET: getPage },
  "/assets/:file": { GET: getAsset },
  "/v1/channels/:channel/events": { GET: readChannel, POST: publishBody },
  "/v1/events": { GET: readChannels, POST: publishJson },
  "/v1/socket": { GET: openSocket },
  "/v1/channels": { GET: listChannels },
  "/v1/channels/:channel": { GET: getChannel, PUT: putChannel, DELETE: deleteChannel },
  "/healthz": { GET: healthz },
  "/readyz": { GET: readyz },
};

/** The HTTP side of Weir: `app.fetch` answers requests. */
export function createApp(weir: Weir): Hono {
  const app = new Hono();
  app.use(openModeAccess(weir.config));
  for (const [path, handlers] of Object.entries(RESOURCES)) {
    for (const [method, handler] of Object.entries(handlers)) {
      app.on(method, path, (c) => handler(c, weir));
    }
    const allow = Object.keys(handlers).flatMap((method) =>
      method === "GET" ? ["GET", "HEAD"] : [method]
    ).join(", ");
    app.all(path, (c) => {
      const problem = new Problem(
        "method_not_allowed",
        `Cannot ${c.req.method} here: ${allow} are allowed.`,
      );
      return problemResponse(problem, { Allow: allow });
    });
  }
  app.notFound((c) => {
    return problemResponse(new Problem("not_found", `There is nothing at ${quote(c.req.path)}.`));
  });
  app.onError((cause, c) => answerError(c, weir, cause));
  return app;
}

function answerError(c: Context, { logger }: Weir, cause: Error): Response {
  if (cause instanceof Problem) {
    if (cause.cause !== undefined && cause.code.startsWith("storage_")) {
      logger.warn("the store failed", { code: cause.code, ...errorFields(cause) });
    }
    if (cause.code === "upgrade_required") {
      return problemResponse(cause, { Upgrade: "websocket" });
    }
    return problemResponse(cause);
  }
  logger.error("request failed", { path: c.req.routePath, ...errorFields(cause) });
  const detail = "Something went wrong here; it was logged.";
  return problemResponse(new Problem("internal", detail));
}
