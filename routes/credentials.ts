import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { Config } from "../lib/config.ts";
import { isLoopback } from "../lib/config.ts";
import { Problem } from "../lib/shared/problem.ts";
import { hasSecret } from "../lib/shared/secrets.ts";

/** What a request brings to say who it is from. */
export type PresentedCredential =
  | { readonly by: "nothing" }
  | { readonly by: "header"; readonly credential: string }
  | { readonly by: "cookie"; readonly credential: string }
  | { readonly by: "ticket"; readonly ticket: string };

const NOTHING: PresentedCredential = { by: "nothing" };

/**
 * What people call a credential in a query, without case and signs: logs, histories and referrers
 * would keep it.
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
 * What the request brings: the `Authorization` header (RFC 6750), else `ticket` in the query, else
 * the session cookie.
 *
 * @throws {Problem} `token_in_url`, `token_invalid`, `key_invalid`, `bad_parameter`
 */
export function presentedIn(c: Context, config: Config): PresentedCredential {
  const { url, headers } = c.req.raw;
  const query = url.indexOf("?");
  const ticket = query === -1 ? undefined : ticketIn(new URLSearchParams(url.slice(query)));
  const authorization = headers.get("authorization");
  if (authorization !== null) return { by: "header", credential: bearerIn(authorization) };
  if (ticket !== undefined) return { by: "ticket", ticket };
  if (headers.get("cookie") === null) return NOTHING;
  const credential = getCookie(c, cookieName(c, config));
  if (credential === undefined) return NOTHING;
  if (credential.startsWith("weir_")) {
    throw new Problem("key_invalid", "An API key is no session cookie: only a token becomes one.");
  }
  return { by: "cookie", credential };
}

function bearerIn(authorization: string): string {
  // The scheme is matched in any case (RFC 9110 §11.1).
  if (/^bearer /i.test(authorization)) return authorization.slice("bearer ".length).trim();
  throw new Problem("token_invalid", "Cannot read the Authorization header: it is Bearer <token>.");
}

function ticketIn(params: URLSearchParams): string | undefined {
  for (const [name, value] of params) {
    const isTicket = name === "ticket";
    if (isTicket ? /^weir_|\./.test(value) : isCredential(name, value)) throw inUrl();
  }
  const [ticket, second] = params.getAll("ticket");
  if (second === undefined) return ticket;
  throw new Problem("bad_parameter", `The query parameter "ticket" stands twice.`);
}

function isCredential(name: string, value: string): boolean {
  return REFUSED_PARAMETERS.has(name.toLowerCase().replaceAll(/[^a-z]/g, "")) ||
    hasSecret(name) || hasSecret(value);
}

function inUrl(): Problem {
  return new Problem(
    "token_in_url",
    "A token or key has no place in a URL, where logs and histories keep it: send it as Authorization: Bearer, or turn it into a ticket by POST /v1/tickets.",
  );
}

/**
 * Keeps `token` in the browser, where no script can read it and no other site can make it be
 * sent, until `expiresAt`, in milliseconds since 1970.
 */
export function setSessionCookie(
  c: Context,
  config: Config,
  token: string,
  expiresAt: number,
): void {
  setCookie(c, cookieName(c, config), token, {
    ...cookieOptions(c, config),
    expires: new Date(expiresAt),
  });
}

export function clearSessionCookie(c: Context, config: Config): void {
  deleteCookie(c, cookieName(c, config), cookieOptions(c, config));
}

/** `__Host-` binds a cookie to this very host, but browsers only take it over HTTPS. */
function cookieName(c: Context, config: Config): string {
  return isHttps(c.req.raw, config) ? "__Host-weir" : "weir";
}

function cookieOptions(c: Context, config: Config) {
  const secure = isHttps(c.req.raw, config);
  return { path: "/", httpOnly: true, sameSite: "Strict", secure } as const;
}

/** The name under which the request came, in lower case. HTTP/2 has it in the URL alone. */
export function hostOf({ headers, url }: Request): string {
  return (headers.get("host") ?? new URL(url).host).toLowerCase();
}

/** Whether the browser came over HTTPS, here or at a proxy in front. */
export function isHttps(request: Request, config: Config): boolean {
  if (config.tls !== undefined) return true;
  return config.publicUrls.length > 0 &&
    config.publicUrls.includes(`https://${hostOf(request)}`);
}

/** Whether `host` is a name under which Weir is reached. */
export function isOwnHost(host: string, { publicUrls }: Config): boolean {
  if (isLoopback(host.replace(/:\d*$/, ""))) return true;
  return publicUrls.some((url) => url.slice(url.indexOf("//") + 2) === host);
}

/** Whether pages of `origin` are Weir's own. */
export function isOwnOrigin(origin: string, request: Request, config: Config): boolean {
  if (config.publicUrls.includes(origin)) return true;
  const host = hostOf(request);
  if (!isLoopback(host.replace(/:\d*$/, ""))) return false;
  return origin === `${config.tls === undefined ? "http" : "https"}://${host}`;
}
