import { z } from "zod";
import type { Authority } from "../lib/auth/authority.ts";
import type { Config } from "../lib/config.ts";
import { decodeUtf8, parseJson } from "../lib/publish/json.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { authenticate } from "./access.ts";
import { CREDENTIAL, JSON_BODY, QUERY, STORE_WRITE } from "./api_description/problem_groups.ts";
import { described, jsonBody, type RouteDescription } from "./api_description/route_description.ts";
import { readBody } from "./body.ts";
import type { AppContext } from "./context.ts";
import {
  clearSessionCookie,
  type PresentedCredential,
  presentedIn,
  setSessionCookie,
} from "./credentials.ts";
import { noQuery, parseQuery, splitUrl } from "./query.ts";

const MAX_BODY_BYTES = 1_024;
/** Browsers drop cookies above 4,096 bytes, including name and attributes (RFC 6265 §6.1). */
const MAX_COOKIE_CHARS = 3_800;

const request = z.strictObject({ as: z.enum(["ticket", "cookie"]).default("ticket") });

export const postTicketDescription: RouteDescription = {
  id: "createTicket",
  tag: "Credentials",
  summary: "Exchange a credential for a ticket or the session cookie",
  text:
    "A ticket replaces the credential in the URL of one read or one socket, within 30 s. Only a token can become a cookie.",
  needsCredential: true,
  query: described(noQuery, {}),
  body: jsonBody({
    name: "TicketRequest",
    schema: request,
    members: { as: { text: "What to make of the credential, by default a ticket." } },
    example: { as: "ticket" },
  }),
  answers: {
    201: { text: "A ticket.", json: "Ticket" },
    204: { text: "The session cookie is set.", headers: ["Set-Cookie"] },
  },
  problems: [...CREDENTIAL, ...QUERY, ...JSON_BODY, ...STORE_WRITE, "forbidden"],
};

/** `POST /v1/tickets`: turns a credential into a ticket for one connection, or into a cookie. */
export async function postTicket(
  c: AppContext,
  server: Pick<Server, "access" | "config">,
): Promise<Response> {
  const { access, config } = server;
  const caller = await authenticate(c, server);
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  const body = await readBody(c.req.raw, { maxBytes: MAX_BODY_BYTES, caller });
  access.credentials.requireValid(caller.authority); // it may have ended while the body arrived
  const parsed = request.safeParse(body.length === 0 ? {} : parseJson(decodeUtf8(body)));
  if (!parsed.success) {
    throw new Problem(
      "bad_body",
      `Cannot use the body: it must be {"as":"ticket"} or {"as":"cookie"}.`,
    );
  }
  const presented = presentedIn(c, config);
  if (presented.by !== "header" && !access.isOpen) {
    throw new Problem("unauthenticated", "Send the token in Authorization: Bearer.");
  }
  access.limiter.subscribe(caller, 1);
  if (parsed.data.as === "cookie") {
    return cookieResponse(c, config, { authority: caller.authority, presented });
  }
  const origin = c.req.raw.headers.get("origin") ?? undefined;
  const { ticket, expiresAt } = await access.tickets.issue(caller.authority.grant, origin);
  return c.json({ ticket, expiresIn: expiresAt - Date.now() }, 201, {
    "Cache-Control": "no-store",
  });
}

function cookieResponse(
  c: AppContext,
  config: Config,
  { authority, presented }: {
    readonly authority: Authority;
    readonly presented: PresentedCredential;
  },
): Response {
  const { kind, expiresAt } = authority.grant;
  if (presented.by !== "header" || kind !== "token" || expiresAt === undefined) {
    throw new Problem("forbidden", "Only a token can become a session cookie, because it expires.");
  }
  if (presented.credential.length > MAX_COOKIE_CHARS) {
    const limit = `a session cookie holds at most ${MAX_COOKIE_CHARS} characters`;
    throw new Problem("token_invalid", `The token is too long: ${limit}.`);
  }
  setSessionCookie(c, config, { token: presented.credential, expiresAt });
  return c.body(null, 204, { "Cache-Control": "no-store" });
}

export const deleteTicketDescription: RouteDescription = {
  id: "deleteCookie",
  tag: "Credentials",
  summary: "Remove the session cookie",
  needsCredential: false,
  query: described(noQuery, {}),
  answers: { 204: { text: "The cookie is removed.", headers: ["Set-Cookie"] } },
  problems: [...QUERY],
};

/** `DELETE /v1/tickets`: removes the session cookie from the browser. */
export function deleteTicket(c: AppContext, { config }: Pick<Server, "config">): Response {
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  clearSessionCookie(c, config);
  return c.body(null, 204);
}
