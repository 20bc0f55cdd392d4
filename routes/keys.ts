import { z } from "zod";
import { type CreatedKey, grantOf, MAX_KEY_BYTES } from "../lib/auth/api_key_store.ts";
import type { KeyInfo } from "../lib/auth/api_key_rows.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { scopeSchema } from "../lib/auth/scope.ts";
import { formatTime } from "../lib/shared/event.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { NO_STORE, readRequest, requireAdmin } from "./admin.ts";
import { KEY_ID, LIMITS_IN_BODY, RIGHTS_IN_BODY } from "./api_description/names.ts";
import {
  CREDENTIAL,
  JSON_BODY,
  QUERY,
  STORE_READ,
  STORE_WRITE,
} from "./api_description/problem_groups.ts";
import { described, jsonBody, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { integer, noQuery, parseQuery, splitUrl } from "./query.ts";

/** Fits the largest name and scope, however their JSON is escaped. */
const MAX_BODY_BYTES = 2 * MAX_KEY_BYTES;
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;

const MAX_SECONDS = 36_500 * 86_400;
/** Seconds for which a rotated key stays valid. */
const DEFAULT_GRACE_SECONDS = 86_400;

const creation = scopeSchema.extend({
  // Names are printed on terminals.
  name: z.string().regex(/^[^\p{Cc}\p{Cs}]{1,100}$/u, "1–100 characters, no control characters")
    .optional(),
  /** Seconds. */
  expiresIn: z.int().min(1).max(MAX_SECONDS).optional(),
});

const rotation = z.strictObject({
  /** Seconds. */
  grace: z.int().min(0).max(MAX_SECONDS).default(DEFAULT_GRACE_SECONDS),
});

const listQuery = z.object({
  after: z.string().optional(),
  limit: integer(1, MAX_LIMIT).optional(),
});

export const listKeysDescription: RouteDescription = {
  id: "listKeys",
  tag: "Administration",
  summary: "List API keys",
  text: "Lists the tenant's keys by id, without their secrets. Needs the right `admin`.",
  needsCredential: true,
  query: described(listQuery, {
    after: { ...KEY_ID, text: "Lists keys after this id." },
    limit: { text: "Keys in a page.", schema: { default: DEFAULT_LIMIT } },
  }),
  answers: { 200: { text: "A page of keys.", json: "Keys" } },
  problems: [...CREDENTIAL, ...QUERY, ...STORE_READ, "forbidden"],
};

/**
 * `GET /v1/keys`: lists the tenant's keys by id, without their secrets. Keys that a revocation of
 * the whole tenant has ended are `revoked`.
 */
export async function listKeys(
  c: AppContext,
  server: Pick<Server, "access">,
  caller: Caller,
): Promise<Response> {
  const tenant = requireAdmin(server, caller);
  const { searchParams } = splitUrl(c.req.raw.url);
  const { after, limit = DEFAULT_LIMIT } = parseQuery(searchParams, listQuery);
  const { apiKeys, revocations } = server.access;
  const { keys, next = null } = await apiKeys.list(tenant, after, limit);
  const listed = keys.map((info) => {
    return { ...describe(info), revoked: revocations.isRevoked(grantOf(tenant, info)) };
  });
  return c.json({ keys: listed, next }, 200, NO_STORE);
}

export const createKeyDescription: RouteDescription = {
  id: "createKey",
  tag: "Administration",
  summary: "Create an API key",
  text: "Needs the right `admin`.",
  needsCredential: true,
  query: described(noQuery, {}),
  body: jsonBody({
    name: "KeyRequest",
    schema: creation,
    members: {
      ...RIGHTS_IN_BODY,
      name: {
        text: "What people call it: no control characters.",
        // Other languages have no classes such as \p{Cc} in patterns.
        schema: { pattern: "^[^\\x00-\\x1f\\x7f-\\x9f]{1,100}$" },
        example: "billing",
      },
      expiresIn: { text: "Seconds until it expires. Without it the key does not expire." },
    },
    inner: LIMITS_IN_BODY,
    example: { name: "billing", publish: ["orders:*"], expiresIn: 2_592_000 },
  }),
  answers: { 201: { text: "The key. Only this answer contains it.", json: "CreatedKey" } },
  problems: [...CREDENTIAL, ...QUERY, ...JSON_BODY, ...STORE_WRITE, "forbidden", "tenant_limit"],
};

/** `POST /v1/keys`: creates a key of the tenant. Only this answer contains the key itself. */
export async function createKey(
  c: AppContext,
  server: Pick<Server, "access">,
  caller: Caller,
): Promise<Response> {
  requireAdmin(server, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  const { name, expiresIn, ...scope } = await readRequest(c.req.raw, {
    access: server.access,
    caller,
    schema: creation,
    maxBytes: MAX_BODY_BYTES,
  });
  const expiresAt = expiresIn === undefined ? undefined : Date.now() + expiresIn * 1_000;
  const { administration } = server.access;
  return createdKeyResponse(c, await administration.createKey(caller, { name, scope, expiresAt }));
}

export const rotateKeyDescription: RouteDescription = {
  id: "rotateKey",
  tag: "Administration",
  summary: "Replace an API key",
  text:
    "Creates a key with the name, the rights and the expiry of the old key, which stays valid for `grace` more seconds. Needs the right `admin`.",
  needsCredential: true,
  path: { id: KEY_ID },
  query: described(noQuery, {}),
  body: jsonBody({
    name: "KeyRotation",
    schema: rotation,
    members: { grace: { text: "Seconds for which the old key stays valid, by default 86,400." } },
    example: { grace: 3_600 },
  }),
  answers: { 201: { text: "The new key. Only this answer contains it.", json: "CreatedKey" } },
  problems: [
    ...CREDENTIAL,
    ...QUERY,
    ...JSON_BODY,
    ...STORE_WRITE,
    "forbidden",
    "key_not_found",
    "tenant_limit",
  ],
};

/**
 * `POST /v1/keys/{id}/rotate`: creates a key with the rights and the expiry of key `id`, which stays
 * valid for `grace` more seconds. Its connections get a notice before it expires.
 */
export async function rotateKey(
  c: AppContext,
  server: Pick<Server, "access">,
  caller: Caller,
): Promise<Response> {
  requireAdmin(server, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  const id = c.req.param("id") ?? "";
  const { grace } = await readRequest(c.req.raw, {
    access: server.access,
    caller,
    schema: rotation,
    maxBytes: MAX_BODY_BYTES,
  });
  const rotated = await server.access.administration.rotateKey(caller, id, grace * 1_000);
  if (rotated === undefined) throw notFound(id, "or it has already been rotated");
  return createdKeyResponse(c, rotated);
}

export const deleteKeyDescription: RouteDescription = {
  id: "deleteKey",
  tag: "Administration",
  summary: "Remove an API key",
  text: "Ends its connections. Needs the right `admin`.",
  needsCredential: true,
  path: { id: KEY_ID },
  query: described(noQuery, {}),
  answers: { 204: { text: "The key is removed." } },
  problems: [
    ...CREDENTIAL,
    ...QUERY,
    ...STORE_WRITE,
    "forbidden",
    "key_not_found",
    "tenant_limit",
  ],
};

/** `DELETE /v1/keys/{id}`: removes the key and ends its connections. */
export async function deleteKey(
  c: AppContext,
  server: Pick<Server, "access">,
  caller: Caller,
): Promise<Response> {
  const tenant = requireAdmin(server, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  const id = c.req.param("id") ?? "";
  const { apiKeys, administration } = server.access;
  if (await apiKeys.get(tenant, id) === undefined) {
    throw notFound(id, "or it has already been removed");
  }
  await administration.revoke(caller, "key", id);
  return c.body(null, 204, NO_STORE);
}

function notFound(id: string, orElse: string): Problem {
  return new Problem("key_not_found", `There is no key ${quote(id)}, ${orElse}.`);
}

function createdKeyResponse(c: AppContext, { key, info }: CreatedKey): Response {
  return c.json({ key, ...describe(info) }, 201, NO_STORE);
}

function describe({ id, name, scope, createdAt, expiresAt, replacedBy }: KeyInfo) {
  return {
    id,
    name: name ?? null,
    created: formatTime(createdAt),
    expires: expiresAt === undefined ? null : formatTime(expiresAt),
    replacedBy: replacedBy ?? null,
    ...scope,
    metrics: scope.metrics === true, // keys that an earlier version stored do not have it
  };
}
