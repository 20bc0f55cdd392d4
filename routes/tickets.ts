import type { Context } from "hono";
import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { decodeUtf8, parseJson } from "../lib/publish/json.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { authenticate } from "./access.ts";
import { readBody } from "./body.ts";
import {
  clearSessionCookie,
  type PresentedCredential,
  presentedIn,
  setSessionCookie,
} from "./credentials.ts";
import { parseQuery, splitUrl } from "./query.ts";

const MAX_BODY_BYTES = 1_024;
/** Browsers drop cookies above 4,096 bytes with name and attributes (RFC 6265 §6.1). */
const MAX_COOKIE_CHARS = 3_800;

const noQuery = z.object({});
const request = z.strictObject({ as: z.enum(["ticket", "cookie"]).default("ticket") });

/** `POST /v1/tickets`: a token as a ticket for one connection, or as a session cookie. */
export async function postTicket(c: Context, server: Server): Promise<Response> {
  const { access, config } = server;
  const caller = await authenticate(c, server);
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  const body = await readBody(c.req.raw, MAX_BODY_BYTES);
  access.credentials.requireValid(caller.authority); // the body may have taken its time
  const parsed = request.safeParse(body.length === 0 ? {} : parseJson(decodeUtf8(body)));
  if (!parsed.success) {
    throw new Problem("bad_body", `Cannot read the body: {"as":"ticket"} or {"as":"cookie"}.`);
  }
  const presented = presentedIn(c, config);
  if (presented.by !== "header" && !access.isOpen) {
    throw new Problem("unauthenticated", "Send the token as Authorization: Bearer.");
  }
  access.limiter.subscribe(caller, 1);
  if (parsed.data.as === "cookie") return setCookie(c, server, caller, presented);
  const origin = c.req.raw.headers.get("origin") ?? undefined;
  const { ticket, expiresAt } = await access.tickets.issue(caller.authority.grant, origin);
  return c.json({ ticket, expiresIn: expiresAt - Date.now() }, 201, {
    "Cache-Control": "no-store",
  });
}

function setCookie(
  c: Context,
  { config }: Server,
  { authority }: Caller,
  presented: PresentedCredential,
): Response {
  const { kind, expiresAt } = authority.grant;
  if (presented.by !== "header" || kind !== "token" || expiresAt === undefined) {
    throw new Problem("forbidden", "Only a token becomes a cookie: it has an end.");
  }
  if (presented.credential.length > MAX_COOKIE_CHARS) {
    const limit = `a cookie has ${MAX_COOKIE_CHARS} characters of token at the most`;
    throw new Problem("token_invalid", `This token is too long: ${limit}.`);
  }
  setSessionCookie(c, config, presented.credential, expiresAt);
  return c.body(null, 204, { "Cache-Control": "no-store" });
}

/** `DELETE /v1/tickets`: the browser forgets its session cookie. */
export function deleteTicket(c: Context, { config }: Server): Response {
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  clearSessionCookie(c, config);
  return c.body(null, 204);
}
