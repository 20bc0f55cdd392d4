import { Problem, type Quota } from "../lib/shared/problem.ts";
import { statusOf } from "../lib/shared/problem_codes.ts";
import { quotaRetryAfterMs, retryAfterMs } from "../lib/shared/retry_after.ts";

export const TITLES: Readonly<Record<number, string>> = {
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

/** Creates the refusal of a method, and the header that names the methods that are allowed. */
export function methodNotAllowed(
  method: string,
  allow: string,
): [Problem, Readonly<Record<string, string>>] {
  const detail = `Method ${method} is not allowed. Allowed: ${allow}.`;
  return [new Problem("method_not_allowed", detail), { Allow: allow }];
}

/** Returns the answer to a refused request: RFC 9457 problem details with the refusal's code. */
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

/** Returns the headers of a refusal: when to retry, and with which credential. */
export function problemHeaders(problem: Problem): Readonly<Record<string, string>> {
  const { code, quota } = problem;
  if (statusOf(code) === 401) {
    // RFC 6750 §3: no error if the request had no credential.
    const challenge = code === "unauthenticated" ? "Bearer" : `Bearer error="invalid_token"`;
    return { "WWW-Authenticate": challenge };
  }
  const afterMs = retryAfterMs(problem);
  if (afterMs === undefined) return {};
  return {
    "Retry-After": String(secondsOf(afterMs)),
    ...quota !== undefined && rateLimitHeaders(quota),
  };
}

/**
 * Returns `RateLimit` and `RateLimit-Policy` of one limit, as in
 * draft-ietf-httpapi-ratelimit-headers-10.
 */
export function rateLimitHeaders(quota: Quota): Record<"RateLimit" | "RateLimit-Policy", string> {
  const { policy, limit, remaining } = quota;
  return {
    "RateLimit": `"${policy}";r=${remaining};t=${secondsOf(quotaRetryAfterMs(quota))}`,
    "RateLimit-Policy": `"${policy}";q=${limit};${unitOf(policy)}`,
  };
}

function secondsOf(milliseconds: number): number {
  return Math.ceil(milliseconds / 1_000);
}

/** Returns what a limit counts, if not requests, and the window of one second if it is a rate. */
function unitOf(policy: string): string {
  if (policy.endsWith("-connections")) return 'qu="concurrent-requests"';
  return policy.endsWith("-bytes") ? 'qu="content-bytes";w=1' : "w=1";
}
