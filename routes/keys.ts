import type { Context } from "hono";
import { z } from "zod";
import { type CreatedKey, grantOf, MAX_KEY_BYTES } from "../lib/auth/api_key_store.ts";
import type { KeyInfo } from "../lib/auth/api_key_rows.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { scopeSchema } from "../lib/auth/scope.ts";
import { formatTime } from "../lib/shared/event.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { admitAdmin, NO_STORE, readRequest } from "./admin.ts";
import { integer, parseQuery, splitUrl } from "./query.ts";

/** Room for the largest name and scope, and for how they may be written. */
const MAX_BODY_BYTES = 2 * MAX_KEY_BYTES;
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;

/** Seconds. */
const MAX_TIME = 36_500 * 86_400;
/** Seconds that a key stays good for after it was replaced. */
const DEFAULT_GRACE = 86_400;

const nothing = z.object({});

const creation = scopeSchema.extend({
  // Names are printed on terminals.
  name: z.string().regex(/^[^\p{Cc}\p{Cs}]{1,100}$/u, "1–100 characters, no control characters")
    .optional(),
  /** Seconds. */
  expiresIn: z.int().min(1).max(MAX_TIME).optional(),
});

const rotation = z.strictObject({
  /** Seconds. */
  grace: z.int().min(0).max(MAX_TIME).default(DEFAULT_GRACE),
});

/**
 * `GET /v1/keys`: the tenant's keys by id, without what makes them keys. Those that a revocation of
 * the whole tenant has ended are `revoked`.
 */
export async function listKeys(c: Context, server: Server, caller: Caller): Promise<Response> {
  const tenant = admitAdmin(server, caller);
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

/** `POST /v1/keys`: a new key of the tenant. Only this answer has the key itself. */
export async function createKey(c: Context, server: Server, caller: Caller): Promise<Response> {
  admitAdmin(server, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, nothing);
  const { name, expiresIn, ...scope } = await readRequest(c.req.raw, server, caller, {
    schema: creation,
    maxBytes: MAX_BODY_BYTES,
  });
  const expiresAt = expiresIn === undefined ? undefined : Date.now() + expiresIn * 1_000;
  const { administration } = server.access;
  return shownOnce(c, await administration.createKey(caller, { name, scope, expiresAt }));
}

/**
 * `POST /v1/keys/{id}/rotate`: a new key with the rights and the end of key `id`, which itself is
 * good for `grace` seconds more. Who is connected by it then is told before it ends.
 */
export async function rotateKey(c: Context, server: Server, caller: Caller): Promise<Response> {
  admitAdmin(server, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, nothing);
  const id = c.req.param("id") ?? "";
  const { grace } = await readRequest(c.req.raw, server, caller, {
    schema: rotation,
    maxBytes: MAX_BODY_BYTES,
  });
  const rotated = await server.access.administration.rotateKey(caller, id, grace * 1_000);
  if (rotated === undefined) throw notFound(id, "or it has been rotated before");
  return shownOnce(c, rotated);
}

/** `DELETE /v1/keys/{id}`: the key, and all that is connected by it, ends. */
export async function deleteKey(c: Context, server: Server, caller: Caller): Promise<Response> {
  const tenant = admitAdmin(server, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, nothing);
  const id = c.req.param("id") ?? "";
  const { apiKeys, administration } = server.access;
  if (await apiKeys.get(tenant, id) === undefined) throw notFound(id, "or there is no more");
  await administration.revoke(caller, "key", id);
  return c.body(null, 204, NO_STORE);
}

function notFound(id: string, orElse: string): Problem {
  return new Problem("key_not_found", `There is no key ${quote(id)}, ${orElse}.`);
}

function shownOnce(c: Context, { key, info }: CreatedKey): Response {
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
