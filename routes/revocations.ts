import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { MAX_VALUE_LENGTH, type Revocation, type RevocationKind } from "../lib/auth/revocations.ts";
import { formatTime } from "../lib/shared/event.ts";
import type { Server } from "../lib/server.ts";
import { NO_STORE, readRequest, requireAdmin } from "./admin.ts";
import { CREDENTIAL, JSON_BODY, QUERY, STORE_WRITE } from "./api_description/problem_groups.ts";
import { described, jsonBody, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { integer, noQuery, parseQuery, splitUrl } from "./query.ts";

/** Fits the longest value with each character written as `\u1234`. */
const MAX_BODY_BYTES = 6 * MAX_VALUE_LENGTH + 64;
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;

const value = z.string().min(1).max(MAX_VALUE_LENGTH).optional();

const schema = z.strictObject({
  /** A token's id. */
  jti: value,
  /** A subject: revokes its tokens that were issued until now. */
  sub: value,
  /** The id of a signing key: revokes all tokens it has signed or will sign. */
  kid: value,
  /** An API key's id. */
  key: value,
  /** Revokes the tenant's tokens and API keys that were issued until now. */
  all: z.literal(true).optional(),
}).refine(
  (body) => Object.keys(body).length === 1,
  `it must have exactly one of "jti", "sub", "kid", "key", "all"`,
);

const listQuery = z.object({ limit: integer(1, MAX_LIMIT).optional() });

export const listRevocationsDescription: RouteDescription = {
  id: "listRevocations",
  tag: "Administration",
  summary: "List revocations",
  text: "Lists the tenant's revocations, the latest first. Needs the right `admin`.",
  needsCredential: true,
  query: described(listQuery, {
    limit: { text: "Revocations in the answer.", schema: { default: DEFAULT_LIMIT } },
  }),
  answers: { 200: { text: "The latest revocations.", json: "Revocations" } },
  problems: [...CREDENTIAL, ...QUERY, "forbidden"],
};

/** `GET /v1/revocations`: lists the tenant's revocations that still matter, the latest first. */
export function listRevocations(
  c: AppContext,
  server: Pick<Server, "access">,
  caller: Caller,
): Response {
  const tenant = requireAdmin(server, caller);
  const { limit = DEFAULT_LIMIT } = parseQuery(splitUrl(c.req.raw.url).searchParams, listQuery);
  const all = server.access.revocations.list(tenant);
  const latest = all.toSorted((a, b) => b.at - a.at).slice(0, limit);
  return c.json({ revocations: latest.map(describe), total: all.length }, 200, NO_STORE);
}

export const postRevocationDescription: RouteDescription = {
  id: "revoke",
  tag: "Administration",
  summary: "Revoke credentials",
  text:
    "The body has exactly one member. The revocation is in force on this isolate at once and on others within 3 s. Needs the right `admin`.",
  needsCredential: true,
  query: described(noQuery, {}),
  needsBody: true,
  body: jsonBody({
    name: "RevocationRequest",
    schema,
    members: {
      jti: { text: "A token's id." },
      sub: { text: "A subject: revokes its tokens that were issued until now.", example: "ann" },
      kid: { text: "The id of a signing key: revokes all tokens that it signs for the tenant." },
      key: { text: "An API key's id." },
      all: { text: "Revokes the tenant's tokens and API keys that were issued until now." },
    },
    constraints: { minProperties: 1, maxProperties: 1 },
    example: { sub: "ann" },
  }),
  answers: { 201: { text: "The revocation is durable.", json: "Revocation" } },
  problems: [...CREDENTIAL, ...QUERY, ...JSON_BODY, ...STORE_WRITE, "forbidden", "tenant_limit"],
};

/** `POST /v1/revocations`: revokes credentials of the tenant, on all isolates. */
export async function postRevocation(
  c: AppContext,
  server: Pick<Server, "access">,
  caller: Caller,
): Promise<Response> {
  requireAdmin(server, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  const body = await readRequest(c.req.raw, {
    access: server.access,
    caller,
    schema,
    maxBytes: MAX_BODY_BYTES,
  });
  const [kind, value] = targetOf(body);
  await server.access.administration.revoke(caller, kind, value);
  return c.json(body, 201, NO_STORE);
}

function targetOf(
  { jti, sub, kid, key }: z.infer<typeof schema>,
): readonly [kind: RevocationKind, value: string] {
  if (jti !== undefined) return ["jti", jti];
  if (sub !== undefined) return ["sub", sub];
  if (kid !== undefined) return ["kid", kid];
  if (key !== undefined) return ["key", key];
  return ["tenant", ""]; // the caller's own
}

function describe({ kind, value, at }: Revocation) {
  const what = kind === "tenant" ? { all: true } : { [kind]: value };
  return { ...what, at: formatTime(at) };
}
