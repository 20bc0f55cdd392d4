import type { Context } from "hono";
import { z } from "zod";
import { type CreatedKey, type KeyInfo, MAX_KEY_BYTES, MAX_KEYS } from "../lib/auth/key_store.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { scopeSchema } from "../lib/auth/scope.ts";
import { formatTime } from "../lib/shared/event.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Weir } from "../lib/weir.ts";
import { NO_STORE, readRequest, requireAdmin } from "./admin.ts";
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

/** `GET /v1/keys`: the tenant's keys by id, without what makes them keys. */
export async function listKeys(c: Context, weir: Weir, caller: Caller): Promise<Response> {
  const tenant = requireAdmin(weir, caller);
  const schema = z.object({
    after: z.string().optional(),
    limit: integer(1, MAX_LIMIT).optional(),
  });
  const { after, limit = DEFAULT_LIMIT } = parseQuery(splitUrl(c.req.raw.url).searchParams, schema);
  const { keys, next = null } = await weir.access.keys.list(tenant, after, limit);
  return c.json({ keys: keys.map(describe), next }, 200, NO_STORE);
}

/** `POST /v1/keys`: a new key of the tenant. Only this answer has the key itself. */
export async function createKey(c: Context, weir: Weir, caller: Caller): Promise<Response> {
  const tenant = requireAdmin(weir, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, nothing);
  const request = await readRequest(c.req.raw, creation, MAX_BODY_BYTES);
  const { name, expiresIn, ...scope } = request;
  const expiresAt = expiresIn === undefined ? undefined : Date.now() + expiresIn * 1_000;
  const created = await weir.access.keys.create(tenant, { name, scope, expiresAt });
  await audit(weir, caller, "key.created", { key: created.info.id });
  return shownOnce(c, created);
}

/**
 * `POST /v1/keys/{id}/rotate`: a new key with the rights and the end of key `id`, which itself is
 * good for `grace` seconds more. Who is connected by it then is told before it ends.
 */
export async function rotateKey(c: Context, weir: Weir, caller: Caller): Promise<Response> {
  const tenant = requireAdmin(weir, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, nothing);
  const id = c.req.param("id") ?? "";
  const { grace } = await readRequest(c.req.raw, rotation, MAX_BODY_BYTES);
  const graceMs = grace * 1_000;
  const expiresAt = Date.now() + graceMs;
  const created = await weir.access.keys.rotate(tenant, id, { graceMs });
  if (created === undefined) throw notFound(id, "or it has been rotated before");
  await weir.access.keyChanged(tenant, id, expiresAt);
  await audit(weir, caller, "key.rotated", { key: id, replacedBy: created.info.id, grace });
  return shownOnce(c, created);
}

/** `DELETE /v1/keys/{id}`: the key, and all that is connected by it, ends. */
export async function deleteKey(c: Context, weir: Weir, caller: Caller): Promise<Response> {
  const tenant = requireAdmin(weir, caller);
  parseQuery(splitUrl(c.req.raw.url).searchParams, nothing);
  const id = c.req.param("id") ?? "";
  const { access } = weir;
  const { keys } = await access.keys.list(tenant, undefined, MAX_KEYS);
  if (!keys.some((key) => key.id === id)) throw notFound(id, "or there is no more");
  await access.revoke(caller.authority, "key", id);
  await audit(weir, caller, "key.removed", { key: id });
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

/** Durable before the answer: who changed the keys can't be unknown afterwards. */
async function audit(
  { access }: Weir,
  { authority, address }: Caller,
  type: "key.created" | "key.rotated" | "key.removed",
  details: Readonly<Record<string, string | number>>,
): Promise<void> {
  const { kind, subject, tokenId, keyId } = authority.grant;
  const by = { kind, subject, tokenId, keyId, address };
  await access.audit.record(authority.tenant, type, { ...by, ...details });
}
