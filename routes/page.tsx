import type { Context } from "hono";
import type { ComponentType } from "preact";
import { renderToString } from "preact-render-to-string";
import type { z } from "zod";
import { readAsset } from "../lib/assets.ts";
import type { Caller } from "../lib/auth/caller.ts";
import type { PageName } from "../lib/pages.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { identify } from "./access.ts";
import { presentedIn } from "./credentials.ts";
import { Document, PAGE_PATHS, type PageView } from "./page_markup.tsx";
import { statusOf } from "../lib/shared/problem_codes.ts";
import { problemHeaders } from "./problem.ts";
import { parseQuery, splitUrl } from "./query.ts";

/** One page: an island, and what the server gives it. */
export interface PageDefinition<Query extends z.ZodObject, Props extends object> {
  /** Names its script and its style sheet too. */
  readonly name: PageName;
  readonly title: string;
  readonly query: Query;
  readonly Island: ComponentType<Props>;
  /**
   * Plain JSON for the island, which is rendered with it here and woken with it in the browser.
   *
   * @throws {Problem} which the page says in place of the island
   */
  load(server: Server, caller: Caller, query: z.infer<Query>): Props | Promise<Props>;
}

/** What the page is not to do, beside what its CSP says. */
const HEADERS = {
  "Cache-Control": "no-store",
  "Content-Type": "text/html; charset=utf-8",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy":
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/** Who brings nothing is asked for a token, not told off. */
const SIGN_IN_VIEW: PageView = {
  status: 401,
  headers: { "WWW-Authenticate": "Bearer" },
  signIn: "only",
};

/** Answers with the page, rendered with what the visitor may see, and gone on with by its island. */
export function pageHandler<Query extends z.ZodObject, Props extends object>(
  page: PageDefinition<Query, Props>,
): (c: Context, server: Server) => Promise<Response> {
  return async (c, server) => {
    const isBuilt = await readAsset(`${page.name}.js`) !== undefined;
    const view = await viewOf(c, server, page);
    const nonce = newNonce();
    const { name, title } = page;
    const { pages } = server.config;
    const document = <Document {...{ name, title, pages, view, isBuilt, nonce }} />;
    return new Response(`<!doctype html>\n${renderToString(document)}`, {
      status: view.status,
      headers: { ...view.headers, ...HEADERS, "Content-Security-Policy": policy(nonce) },
    });
  };
}

/** What the visitor gets, whoever it is. @throws what is not the visitor's fault */
async function viewOf<Query extends z.ZodObject, Props extends object>(
  c: Context,
  server: Server,
  page: PageDefinition<Query, Props>,
): Promise<PageView> {
  const { access, config } = server;
  let isSession = false;
  try {
    isSession = !access.isOpen && presentedIn(c, config).by === "cookie";
    const { authority, ip } = await identify(c, server);
    if (authority === undefined) return SIGN_IN_VIEW;
    const view = await viewFor(c, server, { authority, ip }, page);
    if (!isSession) return view;
    const { subject, expiresAt } = authority.grant;
    const expiresIn = expiresAt === undefined ? undefined : expiresAt - Date.now();
    return { ...view, session: { subject, expiresIn } };
  } catch (cause) {
    const view = refusalView(cause);
    if (view.status !== 401) return view;
    // Whose session is no longer good may go on without one, where that is allowed.
    const session = isSession ? { session: {} } : {};
    return takesTokens(server) ? { ...view, ...session, signIn: "only" } : { ...view, ...session };
  }
}

/** What the caller gets. @throws what is not the caller's fault */
async function viewFor<Query extends z.ZodObject, Props extends object>(
  c: Context,
  server: Server,
  caller: Caller,
  page: PageDefinition<Query, Props>,
): Promise<PageView> {
  try {
    const query = parseQuery(splitUrl(c.req.raw.url).searchParams, page.query);
    const props = await page.load(server, caller, query);
    const mayGainBy = takesTokens(server) && caller.authority.grant.kind === "anonymous";
    const { Island } = page;
    const island = { props, rendered: <Island {...props} /> };
    return { status: 200, island, ...mayGainBy && { signIn: "folded" } };
  } catch (cause) {
    const view = refusalView(cause);
    if (view.status !== 403) return view;
    server.access.audit.recordDenial(caller, `The page ${PAGE_PATHS[page.name]} was asked for.`);
    return takesTokens(server) ? { ...view, signIn: "shown" } : view;
  }
}

function takesTokens({ config }: Server): boolean {
  return config.tokens.jwks !== undefined;
}

/** @throws what is not the client's fault */
function refusalView(cause: unknown): PageView {
  if (!(cause instanceof Problem) || statusOf(cause.code) >= 500) throw cause;
  return { status: statusOf(cause.code), headers: problemHeaders(cause), error: cause.detail };
}

/** 128 random bits in base64, for one answer. */
function newNonce(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toBase64();
}

/**
 * Content Security Policy Level 3: only the script and the style that the page itself names, no
 * strings that become code, nothing of other origins, and nobody frames a page that publishes.
 */
function policy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' 'strict-dynamic'`,
    `style-src 'nonce-${nonce}'`,
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}
