import { RegExpRouter } from "hono/router/reg-exp-router";
import { byStatus, headersOfProblem } from "../../routes/api_description/openapi.ts";
import { EVERYWHERE } from "../../routes/api_description/problem_groups.ts";
import type { Answer, RouteDescription } from "../../routes/api_description/route_description.ts";
import { ROUTES } from "../../routes/api_description/routes.ts";
import { schemas } from "../../routes/api_description/schemas.ts";

/** Headers of requests that are read for every route: the description says so in other words. */
const STANDARD_REQUEST_HEADERS = new Set([
  "authorization",
  "connection",
  "content-length",
  "cookie",
  "host",
  "origin",
  "sec-fetch-site",
  "sec-websocket-key",
  "sec-websocket-version",
  "upgrade",
  "x-forwarded-for",
]);

/** Headers that answers have by rules that hold for many routes. */
const STANDARD_HEADERS = new Set([
  "connection",
  "access-control-allow-credentials",
  "access-control-allow-origin",
  "access-control-expose-headers",
  "cache-control",
  "content-length",
  "content-security-policy",
  "content-type",
  "cross-origin-opener-policy",
  "cross-origin-resource-policy",
  "incremental",
  "permissions-policy",
  "referrer-policy",
  "strict-transport-security",
  "vary",
  "x-accel-buffering",
  "x-content-type-options",
  "x-frame-options",
]);

type Handler<Rest extends readonly unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>;

/** Compares what a server reads and answers with the description of its routes. */
export class DescribedAnswers {
  readonly #faults = new Set<string>();
  readonly #router = new RegExpRouter<RouteDescription>();

  constructor() {
    for (const [path, methods] of Object.entries(ROUTES)) {
      for (const [method, description] of Object.entries(methods)) {
        this.#router.add(method, path, description);
      }
    }
  }

  /** Returns a handler that answers as `handler` does and records what is not described. */
  checked<Rest extends readonly unknown[]>(handler: Handler<Rest>): Handler<Rest> {
    return async (request, ...rest) => {
      const route = this.#routeOf(request);
      if (route === undefined) return await handler(request, ...rest);
      const read = recordedHeaders(request);
      const response = await handler(request, ...rest);
      const described = new Set(route.headers?.map((name) => name.toLowerCase()));
      for (const name of read) {
        if (STANDARD_REQUEST_HEADERS.has(name) || described.has(name)) continue;
        this.#faults.add(`${route.id} reads the header ${name}, which is not described`);
      }
      return await this.#checkedAnswer(route, request, response);
    };
  }

  /** @throws {Error} that says all that was not described */
  requireDescribed(): void {
    if (this.#faults.size > 0) throw new Error([...this.#faults].join("\n"));
  }

  #routeOf({ method, url }: Request): RouteDescription | undefined {
    const parsed = URL.parse(url);
    if (parsed === null) return undefined; // the Host of the request is no host
    const [[route]] = this.#router.match(method === "HEAD" ? "GET" : method, parsed.pathname);
    return route?.[0];
  }

  async #checkedAnswer(
    route: RouteDescription,
    request: Request,
    response: Response,
  ): Promise<Response> {
    const { status, headers } = response;
    const type = headers.get("content-type")?.split(";")[0] ?? "";
    const answer = route.answers[status];
    const codes = byStatus([...EVERYWHERE, ...route.problems]).get(status);
    const answerHeaders = type === "application/problem+json"
      ? headersOfProblem(status)
      : answer?.headers ?? [];
    const fault = (what: string) => this.#faults.add(`${route.id}, ${status}: ${what}`);
    const known = new Set<string>(answerHeaders.map((name) => name.toLowerCase()));
    for (const name of status === 101 ? [] : headers.keys()) {
      if (!STANDARD_HEADERS.has(name) && !known.has(name)) fault(`${name} is not described`);
    }
    if (type === "application/problem+json") {
      if (request.method === "HEAD") return response;
      const text = await response.text();
      const problem = schemas.Problem.safeParse(JSON.parse(text));
      if (!problem.success) fault(problem.error.message);
      else if (!codes?.includes(problem.data.code)) {
        fault(`${problem.data.code} is not described: ${problem.data.detail}`);
      }
      return new Response(text, { status, headers });
    }
    if (answer === undefined) fault(`is not described`);
    else if (type === "application/json" && request.method !== "HEAD") {
      const text = await response.text();
      const reason = jsonFault(answer, JSON.parse(text));
      if (reason !== undefined) fault(`${reason} in ${text.slice(0, 500)}`);
      return new Response(text, { status, headers });
    } else if (type !== "" && type !== "application/json" && answer.other?.[type] === undefined) {
      fault(`${type} is not described`);
    }
    return response;
  }
}

function jsonFault({ json }: Answer, value: unknown): string | undefined {
  if (json === undefined) return "JSON is not described";
  const names = typeof json === "string" ? [json] : json;
  const reasons: string[] = [];
  for (const name of names) {
    const { error } = schemas[name].safeParse(value);
    if (error === undefined) return undefined;
    reasons.push(error.message);
  }
  return reasons.join(" or ");
}

/** Returns the names of the headers that are read from now on. */
function recordedHeaders(request: Request): ReadonlySet<string> {
  const names = new Set<string>();
  const { headers } = request;
  const get = headers.get.bind(headers);
  headers.get = (name) => {
    names.add(name.toLowerCase());
    return get(name);
  };
  return names;
}
