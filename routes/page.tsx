import type { ComponentType } from "preact";
import { renderToString } from "preact-render-to-string";
import type { z } from "zod";
import { readAsset } from "../lib/assets.ts";
import type { Caller } from "../lib/auth/caller.ts";
import type { PageName } from "../lib/pages.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { identify } from "./access.ts";
import type { AppContext } from "./context.ts";
import { presentedIn } from "./credentials.ts";
import { Document, PAGE_PATHS, type PageView } from "./page_markup.tsx";
import { statusOf } from "../lib/shared/problem_codes.ts";
import { problemHeaders } from "./problem.ts";
import { parseQuery, splitUrl } from "./query.ts";

/** A page: an island and the props that the server passes to it. */
export interface PageDefinition<Query extends z.ZodObject, Props extends object> {
  /** Also the name of its script and its style sheet. */
  readonly name: PageName;
  readonly title: string;
  readonly query: Query;
  /** The devices that the page may use. @default none */
  readonly devices?: readonly DeviceFeature[];
  readonly Island: ComponentType<Props>;
  /**
   * Returns the island's props as plain JSON. The server renders the island with them and the
   * browser hydrates it.
   *
   * @throws {Problem} shown instead of the island
   */
  load(server: Server, caller: Caller, query: z.infer<Query>): Props | Promise<Props>;
}

/** Features of the Permissions Policy that a page may be allowed to use. */
type DeviceFeature = "camera" | "display-capture" | "microphone";

/** Features that pages may not use unless they ask for them. */
const RESTRICTED_FEATURES = [
  "camera",
  "display-capture",
  "geolocation",
  "microphone",
  "payment",
  "usb",
] as const;

/** Returns the restrictions of a page in addition to its CSP. */
export function pageHeaders(devices: readonly DeviceFeature[] = []): Record<string, string> {
  const features = RESTRICTED_FEATURES.map((feature) =>
    `${feature}=(${devices.some((device) => device === feature) ? "self" : ""})`
  );
  return {
    "Cache-Control": "no-store",
    "Content-Type": "text/html; charset=utf-8",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": features.join(", "),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
  };
}

/** Visitors without a credential see the sign-in form and no error. */
const SIGN_IN_VIEW: PageView = {
  status: 401,
  headers: { "WWW-Authenticate": "Bearer" },
  signIn: "only",
};

/** Returns a handler that renders the page with what the visitor may see. */
export function pageHandler<Query extends z.ZodObject, Props extends object>(
  page: PageDefinition<Query, Props>,
): (c: AppContext, server: Server) => Promise<Response> {
  return async (c, server) => {
    const isBuilt = await readAsset(`${page.name}.js`) !== undefined;
    const view = await viewOf(c, server, page);
    const nonce = newNonce();
    const { name, title, devices } = page;
    const { pages } = server.config;
    const document = <Document {...{ name, title, pages, view, isBuilt, nonce }} />;
    return new Response(`<!doctype html>\n${renderToString(document)}`, {
      status: view.status,
      headers: {
        ...view.headers,
        ...pageHeaders(devices),
        "Content-Security-Policy": policy(nonce),
      },
    });
  };
}

/**
 * Authenticates the visitor and returns the view. @throws failures that are not the visitor's fault
 */
async function viewOf<Query extends z.ZodObject, Props extends object>(
  c: AppContext,
  server: Server,
  page: PageDefinition<Query, Props>,
): Promise<PageView> {
  const { access, config } = server;
  let hasCookie = false;
  try {
    hasCookie = !access.isOpen && presentedIn(c, config).by === "cookie";
    const { authority, ip } = await identify(c, server);
    if (authority === undefined) return SIGN_IN_VIEW;
    const view = await viewFor(c, server, { authority, ip }, page);
    if (!hasCookie) return view;
    const { subject, expiresAt } = authority.grant;
    const expiresIn = expiresAt === undefined ? undefined : expiresAt - Date.now();
    return { ...view, signedIn: { subject, expiresIn } };
  } catch (cause) {
    const view = refusalView(cause);
    if (view.status !== 401) return view;
    // With an invalid session cookie the visitor can still sign in or continue anonymously.
    const signedIn = hasCookie ? { signedIn: {} } : {};
    return takesTokens(server)
      ? { ...view, ...signedIn, signIn: "only" }
      : { ...view, ...signedIn };
  }
}

/** Returns the caller's view. @throws failures that are not the caller's fault */
async function viewFor<Query extends z.ZodObject, Props extends object>(
  c: AppContext,
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
    server.access.audit.recordDenial(caller, `The page ${PAGE_PATHS[page.name]} was requested.`);
    return takesTokens(server) ? { ...view, signIn: "shown" } : view;
  }
}

function takesTokens({ config }: Server): boolean {
  return config.tokens.jwks !== undefined;
}

/** Returns a view of the error. @throws failures that are not the client's fault */
function refusalView(cause: unknown): PageView {
  if (!(cause instanceof Problem) || statusOf(cause.code) >= 500) throw cause;
  return { status: statusOf(cause.code), headers: problemHeaders(cause), error: cause.detail };
}

/** Returns 128 random bits in base64, for one response. */
export function newNonce(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toBase64();
}

/**
 * Content Security Policy Level 3: allows only the script and the styles that the page names, no
 * code from strings, nothing from other origins, and no framing.
 */
export function policy(nonce: string): string {
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
