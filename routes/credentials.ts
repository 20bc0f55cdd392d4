import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { Config } from "../lib/config.ts";
import { Problem } from "../lib/shared/problem.ts";
import { hasSecret } from "../lib/shared/secrets.ts";
import type { AppContext } from "./context.ts";
import { isHttps, type RequestHead } from "./origin.ts";

/** The credential of a request, and where it was. */
export type PresentedCredential =
  | { readonly by: "nothing" }
  | { readonly by: "header"; readonly credential: string }
  | { readonly by: "cookie"; readonly credential: string }
  | { readonly by: "ticket"; readonly ticket: string };

const NOTHING: PresentedCredential = { by: "nothing" };

/**
 * Names of query parameters that may hold a credential, in lower case and letters only. They are
 * refused, because logs, histories and referrers keep URLs.
 */
const REFUSED_PARAMETERS: ReadonlySet<string> = new Set([
  "accesstoken",
  "apikey",
  "auth",
  "authorization",
  "authtoken",
  "bearer",
  "bearertoken",
  "credential",
  "credentials",
  "idtoken",
  "jwt",
  "key",
  "secret",
  "token",
  "weirkey",
  "weirtoken",
  "xapikey",
]);

/**
 * Finds the credential of a request: in the `Authorization` header (RFC 6750), else as `ticket` in
 * the query, else as the session cookie.
 *
 * @throws {Problem} `token_in_url`, `token_invalid`, `key_invalid`, `bad_parameter`
 */
export function presentedIn(c: AppContext, config: Config): PresentedCredential {
  const presented = presentedWithoutCookie(c.req.raw);
  if (presented !== NOTHING || c.req.raw.headers.get("cookie") === null) return presented;
  const credential = getCookie(c, cookieName(c, config));
  if (credential === undefined) return NOTHING;
  if (credential.startsWith("weir_")) {
    throw new Problem("key_invalid", "An API key cannot be a session cookie: only a token can.");
  }
  return { by: "cookie", credential };
}

/**
 * Finds the credential of a request as {@link presentedIn} does, except a session cookie.
 *
 * @throws {Problem} `token_in_url`, `token_invalid`, `bad_parameter`
 */
export function presentedWithoutCookie({ url, headers }: RequestHead): PresentedCredential {
  const query = url.indexOf("?");
  const ticket = query === -1 ? undefined : ticketIn(new URLSearchParams(url.slice(query)));
  const authorization = headers.get("authorization");
  if (authorization !== null) return { by: "header", credential: bearerIn(authorization) };
  return ticket === undefined ? NOTHING : { by: "ticket", ticket };
}

function bearerIn(authorization: string): string {
  // The scheme is matched in any case (RFC 9110 §11.1).
  if (/^bearer /i.test(authorization)) return authorization.slice("bearer ".length).trim();
  throw new Problem(
    "token_invalid",
    "Cannot use the Authorization header: it must be Bearer <token>.",
  );
}

function ticketIn(params: URLSearchParams): string | undefined {
  for (const [name, value] of params) {
    const isTicket = name === "ticket";
    if (isTicket ? /^weir_|\./.test(value) : isCredential(name, value)) throw inUrl();
  }
  const [ticket, second] = params.getAll("ticket");
  if (second === undefined) return ticket;
  throw new Problem("bad_parameter", `The query parameter "ticket" must not appear twice.`);
}

function isCredential(name: string, value: string): boolean {
  return REFUSED_PARAMETERS.has(name.toLowerCase().replaceAll(/[^a-z]/g, "")) ||
    hasSecret(name) || hasSecret(value);
}

function inUrl(): Problem {
  return new Problem(
    "token_in_url",
    "A token or key has no place in a URL, because logs and histories keep URLs: send it in Authorization: Bearer, or exchange it for a ticket with POST /v1/tickets.",
  );
}

/**
 * Sets the session cookie. No script can read it, and no other site can cause it to be sent.
 */
export function setSessionCookie(
  c: AppContext,
  config: Config,
  { token, expiresAt }: {
    readonly token: string;
    /** Milliseconds since 1970. */
    readonly expiresAt: number;
  },
): void {
  setCookie(c, cookieName(c, config), token, {
    ...cookieOptions(c, config),
    expires: new Date(expiresAt),
  });
}

export function clearSessionCookie(c: AppContext, config: Config): void {
  deleteCookie(c, cookieName(c, config), cookieOptions(c, config));
}

/** Returns the cookie's name. `__Host-` binds it to this host, but browsers need HTTPS for it. */
function cookieName(c: AppContext, config: Config): string {
  return isHttps(c.req.raw, config) ? "__Host-weir" : "weir";
}

function cookieOptions(c: AppContext, config: Config) {
  const secure = isHttps(c.req.raw, config);
  return { path: "/", httpOnly: true, sameSite: "Strict", secure } as const;
}
