import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { decodeUtf8, parseJson } from "../lib/publish/json.ts";
import type { Tenant } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { readBody } from "./body.ts";

/** What answers of the admin API have: nobody between keeps what may be a key. */
export const NO_STORE = { "Cache-Control": "no-store" } as const;

/**
 * Counts the call as a subscribe, and lets administrators through: the tenant whose keys and
 * revocations the caller may manage is its own, and no other.
 *
 * In open mode there is nobody to ask. Met: a key that anyone on this machine made while Weir was
 * open, and which is still good on the same store when it no longer is.
 *
 * @throws {Problem} `forbidden`, `rate_limited`
 */
export function admitAdmin({ access }: Server, caller: Caller): Tenant {
  access.limiter.subscribe(caller, 1);
  caller.authority.requireAdmin();
  if (access.isOpen) {
    const how = "`deno task keys init` makes keys and says what to set";
    throw new Problem("forbidden", `Cannot manage keys in open mode, which has none: ${how}.`);
  }
  return caller.authority.tenant;
}

/**
 * The JSON body of an administrator's request by `schema`; no body is `{}`.
 *
 * @throws {Problem} `bad_body`, `bad_json`, `bad_encoding`, `event_too_large`, `body_incomplete`;
 * `token_revoked`, `token_expired`, `key_invalid` where the caller was one when the request began
 */
export async function readRequest<T>(
  request: Request,
  { access }: Server,
  { authority }: Caller,
  { schema, maxBytes }: { readonly schema: z.ZodType<T>; readonly maxBytes: number },
): Promise<T> {
  const body = await readBody(request, maxBytes);
  access.credentials.requireValid(authority); // the body may have taken its time
  const { data, error } = schema.safeParse(body.length === 0 ? {} : parseJson(decodeUtf8(body)));
  if (error === undefined) return data;
  const [issue] = error.issues;
  const where = issue?.path.length ? `${issue.path.join(".")}: ` : "";
  throw new Problem("bad_body", `Cannot read the body: ${where}${issue?.message}.`);
}
