import type { Context } from "hono";
import { renderToString } from "preact-render-to-string";
import { z } from "zod";
import { eventItem, gapItem } from "../islands/feed.ts";
import type { LiveProps } from "../islands/live.tsx";
import { readAsset } from "../lib/assets.ts";
import { AUDIT_TYPES } from "../lib/auth/audit.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { addressOf, AUDIT_CHANNEL, parseReadableChannel } from "../lib/shared/channel.ts";
import { type Gap, parseEventType, type WireEvent } from "../lib/shared/event.ts";
import type { Position } from "../lib/shared/offset.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import { withoutSecrets } from "../lib/shared/secrets.ts";
import { readPage } from "../lib/transports/page.ts";
import type { Weir } from "../lib/weir.ts";
import { identify } from "./access.ts";
import { presentedIn } from "./credentials.ts";
import { type Asked, Page, type View } from "./page_markup.tsx";
import { problemHeaders, statusOf } from "./problem.ts";
import { parseQuery, splitUrl } from "./query.ts";

const DEFAULT_CHANNEL = "demo";
/** Events that the page has from the start. */
const HISTORY = 50;
/** Met: a page with a listener for each of a million types. */
const MAX_TYPES = 50;

const query = z.object({ channel: z.string().optional(), types: z.string().optional() });

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
const NOBODY: View = {
  status: 401,
  headers: { "WWW-Authenticate": "Bearer" },
  signIn: "only",
};

/** `GET /`: one channel live, rendered here with what it has and gone on with by the island. */
export async function getPage(c: Context, weir: Weir): Promise<Response> {
  const { searchParams } = splitUrl(c.req.raw.url);
  const asked = {
    channel: withoutSecrets(searchParams.get("channel")?.trim() || DEFAULT_CHANNEL),
    types: withoutSecrets(searchParams.get("types")?.trim() ?? ""),
  };
  const isBuilt = await readAsset("live.js") !== undefined;
  const view = await viewOf(c, weir, asked);
  const nonce = newNonce();
  const page = <Page asked={asked} view={view} isBuilt={isBuilt} nonce={nonce} />;
  return new Response(`<!doctype html>\n${renderToString(page)}`, {
    status: view.status,
    headers: { ...view.headers, ...HEADERS, "Content-Security-Policy": policy(nonce) },
  });
}

/** What the visitor gets, whoever it is. @throws what is not the visitor's fault */
async function viewOf(c: Context, weir: Weir, asked: Asked): Promise<View> {
  const { access, config } = weir;
  let isSession = false;
  try {
    isSession = !access.isOpen && presentedIn(c, config).by === "cookie";
    const { authority, address } = await identify(c, weir);
    if (authority === undefined) return NOBODY;
    const view = await viewFor(c, weir, { authority, address }, asked);
    if (!isSession) return view;
    const { subject } = authority.grant;
    return { ...view, session: subject === undefined ? {} : { subject } };
  } catch (cause) {
    const view = refusal(cause);
    if (view.status !== 401) return view;
    // Whose session is no longer good may go on without one, where that is allowed.
    const session = isSession ? { session: {} } : {};
    return takesTokens(weir) ? { ...view, ...session, signIn: "only" } : { ...view, ...session };
  }
}

/** What the caller gets. @throws what is not the caller's fault */
async function viewFor(c: Context, weir: Weir, caller: Caller, asked: Asked): Promise<View> {
  try {
    parseQuery(splitUrl(c.req.raw.url).searchParams, query);
    const live = await readLive(weir, caller, asked);
    const mayGainBy = takesTokens(weir) && caller.authority.grant.kind === "anonymous";
    return { status: 200, live, ...mayGainBy && { signIn: "folded" } };
  } catch (cause) {
    const view = refusal(cause);
    if (view.status !== 403) return view;
    weir.access.recordDenial(caller, `The page of ${quote(asked.channel)} was asked for.`);
    return takesTokens(weir) ? { ...view, signIn: "shown" } : view;
  }
}

function takesTokens({ config }: Weir): boolean {
  return config.tokens.jwks !== undefined;
}

/** @throws what is not the client's fault */
function refusal(cause: unknown): View {
  if (!(cause instanceof Problem) || statusOf(cause.code) >= 500) throw cause;
  return { status: statusOf(cause.code), headers: problemHeaders(cause), error: cause.detail };
}

/** The channel's newest events, and the cursor behind them from which the stream goes on. */
async function readLive(
  { log, hub, access }: Weir,
  caller: Caller,
  asked: Asked,
): Promise<LiveProps> {
  const { authority } = caller;
  const channel = parseReadableChannel(asked.channel);
  const types = parseTypes(asked.types);
  authority.require("subscribe", channel);
  access.limiter.subscribe(caller, 1);
  const address = addressOf(authority.tenant, channel);
  const head = await log.head(address);
  const after: "earliest" | readonly Position[] = head === undefined
    ? "earliest"
    : [{ epoch: head.epoch, sequence: Math.max(head.first - 1, head.last - HISTORY) }];
  const page = await readPage(hub, after, { addresses: [address], limit: HISTORY });
  const { events, gap }: { readonly events: readonly WireEvent[]; readonly gap?: Gap } = JSON
    .parse(page.body);
  const items = [...gap === undefined ? [] : [gapItem(gap)], ...events.map(eventItem)];
  const isAudit = channel === AUDIT_CHANNEL;
  return {
    channel,
    types: isAudit ? [...types, ...AUDIT_TYPES] : types,
    items: items.reverse(),
    cursor: page.cursor,
    mayPublish: !isAudit && authority.may("publish", channel),
  };
}

/** Types split by commas. @throws {Problem} `bad_event_type`, `bad_parameter` */
function parseTypes(text: string): readonly string[] {
  const types = text.split(",").map((type) => type.trim()).filter((type) => type !== "");
  if (types.length > MAX_TYPES) {
    throw new Problem("bad_parameter", `Cannot listen to ${types.length} types: ${MAX_TYPES} do.`);
  }
  return types.map(parseEventType);
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
