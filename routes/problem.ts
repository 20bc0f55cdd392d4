import type { Problem, Quota } from "../lib/shared/problem.ts";
import { statusOf } from "../lib/shared/problem_codes.ts";

/** Seconds after which a refused client may come back where nothing else is known. */
const RETRY_AFTER = 1;
/** Seconds. Whoever has to wait longer may look again whether limits have changed. */
const MAX_RETRY_AFTER = 3_600;

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  426: "Upgrade Required",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

/** The answer to a refused request: RFC 9457 problem details with the code of the refusal. */
export function problemResponse(
  problem: Problem,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { code, detail, index } = problem;
  const status = statusOf(code);
  const body = { type: "about:blank", title: TITLES[status], status, code, detail, index };
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      ...headers,
      ...problemHeaders(problem),
      "Content-Type": "application/problem+json",
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

/** What a refusal says in headers, whatever its body is: when to come back, and with what. */
export function problemHeaders({ code, quota }: Problem): Readonly<Record<string, string>> {
  switch (statusOf(code)) {
    case 401: {
      // RFC 6750 §3: no error where nothing was brought.
      const challenge = code === "unauthenticated" ? "Bearer" : `Bearer error="invalid_token"`;
      return { "WWW-Authenticate": challenge };
    }
    case 429:
      if (quota === undefined) return { "Retry-After": String(RETRY_AFTER) };
      return { "Retry-After": String(secondsOf(quota)), ...rateLimitHeaders(quota) };
    case 503:
    case 507:
      return { "Retry-After": String(RETRY_AFTER) };
    default:
      return {};
  }
}

/**
 * `RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-10 has them, for one
 * limit.
 */
export function rateLimitHeaders(quota: Quota): Record<"RateLimit" | "RateLimit-Policy", string> {
  const { policy, limit, remaining } = quota;
  return {
    "RateLimit": `"${policy}";r=${remaining};t=${secondsOf(quota)}`,
    "RateLimit-Policy": `"${policy}";q=${limit};${unitOf(policy)}`,
  };
}

/** Whole seconds, at least 1, until there is more. */
function secondsOf({ retryAfterMs }: Quota): number {
  return Math.min(MAX_RETRY_AFTER, Math.max(1, Math.ceil(retryAfterMs / 1_000)));
}

/** What a limit counts where it isn't requests, and its window of a second where it is a rate. */
function unitOf(policy: string): string {
  if (policy.endsWith("-connections")) return 'qu="concurrent-requests"';
  return policy.endsWith("-bytes") ? 'qu="content-bytes";w=1' : "w=1";
}
