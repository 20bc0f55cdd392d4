import { type Context, Hono, type Next } from "hono";
import { errorFields } from "../lib/logger.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { pause } from "../lib/shared/async/delay.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import { kindOf } from "../lib/shared/problem_codes.ts";
import type { Server } from "../lib/server.ts";
import { authenticate, guardOrigin } from "./access.ts";
import { getAsset } from "./assets.ts";
import { deleteChannel, getChannel, listChannels, putChannel } from "./channels.ts";
import { readChannel, readChannels } from "./events.ts";
import { healthz, readyz } from "./health.ts";
import { createKey, deleteKey, listKeys, rotateKey } from "./keys.ts";
import { deleteMember, listMembers, putMember } from "./members.ts";
import { pageResources } from "./pages.ts";
import { problemResponse } from "./problem.ts";
import { publishBody, publishJson } from "./publish.ts";
import { listRevocations, postRevocation } from "./revocations.ts";
import { openSocket } from "./socket.ts";
import { postStreamToken } from "./streams.ts";
import { deleteTicket, postTicket } from "./tickets.ts";

type PublicHandler = (c: Context, server: Server) => Response | Promise<Response>;
type Handler = (c: Context, server: Server, caller: Caller) => Response | Promise<Response>;
type Method = "GET" | "POST" | "PUT" | "DELETE";
type Resources<H> = Readonly<Record<string, Readonly<Partial<Record<Method, H>>>>>;

/** What anyone may ask for; the handlers look themselves at who it is. */
const PUBLIC: Resources<PublicHandler> = {
  "/assets/:file": { GET: getAsset },
  "/v1/socket": { GET: openSocket },
  "/v1/tickets": { POST: postTicket, DELETE: deleteTicket },
  "/healthz": { GET: healthz },
  "/readyz": { GET: readyz },
};

/** What only who has a credential may ask for (in open mode everyone has). */
const GUARDED: Resources<Handler> = {
  "/v1/channels/:channel/events": { GET: readChannel, POST: publishBody },
  "/v1/events": { GET: readChannels, POST: publishJson },
  "/v1/channels": { GET: listChannels },
  "/v1/channels/:channel": { GET: getChannel, PUT: putChannel, DELETE: deleteChannel },
  "/v1/channels/:channel/members": { GET: listMembers },
  "/v1/channels/:channel/members/:member": { PUT: putMember, DELETE: deleteMember },
  "/v1/streams/:id/token": { POST: postStreamToken },
  "/v1/keys": { GET: listKeys, POST: createKey },
  "/v1/keys/:id": { DELETE: deleteKey },
  "/v1/keys/:id/rotate": { POST: rotateKey },
  "/v1/revocations": { GET: listRevocations, POST: postRevocation },
};

/** The HTTP side of Weir: `app.fetch` answers requests. */
export function createApp(server: Server): Hono {
  const app = new Hono();
  app.use(guardOrigin(server.config));
  addResources(app, PUBLIC, (handler) => (c) => handler(c, server));
  addResources(app, pageResources(server.config.pages), (handler) => (c) => handler(c, server));
  addResources(app, GUARDED, (handler) => (c) => {
    const caller = authenticate(c, server);
    if (caller instanceof Promise) return caller.then((caller) => answer(c, caller));
    return answer(c, caller);

    function answer(c: Context, caller: Caller) {
      if (!server.access.isOpen) c.set("caller", caller);
      return handler(c, server, caller);
    }
  });
  app.notFound((c) => {
    return problemResponse(new Problem("not_found", `There is nothing at ${quote(c.req.path)}.`));
  });
  const brake = new Brake();
  app.onError(async (cause, c) => {
    if (isPublish(c)) server.meter.refused();
    if (cause instanceof Problem && cause.code === "rate_limited") await brake.hold();
    return answerError(c, server, cause);
  });
  return app;
}

function isPublish({ req }: Context): boolean {
  return req.method === "POST" && req.path.endsWith("/events");
}

/**
 * Milliseconds that the answer to a request past its limits waits, on average. Each another time:
 * who were refused together would come back together, and go on so.
 */
const HOLD_MS = 250;
/** Answers that wait at once; more are given without. Met: refusals that fill memory. */
const MAX_HELD = 2_000;

/**
 * Slows down who goes on asking past the limits. Met: a client that repeats at once what was
 * refused, and takes the time of those within theirs.
 */
class Brake {
  #held = 0;

  async hold(): Promise<void> {
    if (this.#held >= MAX_HELD) return;
    this.#held++;
    await pause(HOLD_MS * (0.5 + Math.random()));
    this.#held--;
  }
}

function addResources<H>(
  app: Hono,
  resources: Resources<H>,
  bind: (handler: H) => (c: Context) => Response | Promise<Response>,
): void {
  for (const [path, handlers] of Object.entries(resources)) {
    // Those of events, where each µs counts, say it themselves.
    if (!path.endsWith("/events")) app.use(path, nosniff);
    for (const [method, handler] of Object.entries(handlers)) app.on(method, path, bind(handler));
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
}

/** What the context answers (`c.json`) is what its type says; a `Response` has its own headers. */
function nosniff(c: Context, next: Next): Promise<void> {
  c.header("X-Content-Type-Options", "nosniff");
  return next();
}

function answerError(c: Context, server: Server, cause: Error): Response {
  const { logger } = server;
  const caller: Caller | undefined = c.get("caller");
  const tenant = caller?.authority.tenant;
  if (cause instanceof Problem) {
    if (cause.cause !== undefined && kindOf(cause.code) === "storage") {
      logger.warn("the store failed", { tenant, code: cause.code, ...errorFields(cause) });
    }
    if (cause.code === "forbidden" && caller !== undefined) {
      server.access.audit.recordDenial(caller, cause.detail);
    }
    if (cause.code === "upgrade_required") {
      return problemResponse(cause, { Upgrade: "websocket" });
    }
    return problemResponse(cause);
  }
  logger.error("request failed", { tenant, path: c.req.routePath, ...errorFields(cause) });
  const detail = "Something went wrong here; it was logged.";
  return problemResponse(new Problem("internal", detail));
}
