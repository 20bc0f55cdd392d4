import { z } from "zod";
import { type CreatedKey, grantOf, MAX_KEY_BYTES } from "../lib/auth/api_key_store.ts";
import type { KeyInfo } from "../lib/auth/api_key_rows.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { scopeSchema } from "../lib/auth/scope.ts";
import { formatTime } from "../lib/shared/event.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { NO_STORE, readRequest, requireAdmin } from "./admin.ts";
import type { AppContext } from "./context.ts";
import { integer, parseQuery, splitUrl } from "./query.ts";

/** Fits the largest name and scope, however their JSON is escaped. */
const MAX_BODY_BYTES = 2 * MAX_KEY_BYTES;
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;

const MAX_SECONDS = 36_500 * 86_400;
/** Seconds for which a rotated key stays valid. */
const DEFAULT_GRACE_SECONDS = 86_400;

const noQuery = z.object({});

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
  const schema = z.object({
    after: z.string().optional(),
    limit: integer(1, MAX_LIMIT).optional(),
  });
  const { after, limit = DEFAULT_LIMIT } = parseQuery(splitUrl(c.req.raw.url).searchParams, schema);
  const { apiKeys, revocations } = server.access;
  const { keys, next = null } = await apiKeys.list(tenant, after, limit);
  const listed = keys.map((info) => {
    return { ...describe(info), revoked: revocations.isRevoked(grantOf(tenant, info)) };
  });
  return c.json({ keys: listed, next }, 200, NO_STORE);
}

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
  };
}
