import { z } from "zod";
import type { Access } from "../lib/auth/access.ts";
import type { Caller } from "../lib/auth/caller.ts";
import { decodeUtf8, parseJson } from "../lib/publish/json.ts";
import type { Tenant } from "../lib/shared/channel.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { TASK_COMMAND } from "../lib/shared/task_command.ts";
import { readBody } from "./body.ts";

/** Headers of answers that no cache may keep, for example because they hold a key. */
export const NO_STORE = { "Cache-Control": "no-store" } as const;

/**
 * Counts the call as a subscribe and requires the right `admin`. Returns the caller's tenant, the
 * only one whose keys and revocations it may manage.
 *
 * Refuses in open mode. Guards against a key that anyone on this machine creates in open mode, and
 * that is still valid when the store is no longer open.
 *
 * @throws {Problem} `forbidden`, `rate_limited`
 */
export function requireAdmin({ access }: Pick<Server, "access">, caller: Caller): Tenant {
  access.limiter.subscribe(caller, 1);
  caller.authority.requireAdmin();
  if (access.isOpen) {
    const how = `run "${TASK_COMMAND} keys init" to create keys`;
    throw new Problem("forbidden", `Cannot manage keys in open mode: ${how}.`);
  }
  return caller.authority.tenant;
}

/**
 * Reads the JSON body of a request and parses it by `schema`. A missing body is read as `{}`.
 *
 * @throws {Problem} `bad_body`, `bad_json`, `bad_encoding`, `event_too_large`, `body_incomplete`;
 * `token_revoked`, `token_expired`, `key_invalid` if the credential ended while the body arrived
 */
export async function readRequest<T>(
  request: Request,
  { access, caller, schema, maxBytes }: {
    readonly access: Pick<Access, "credentials">;
    readonly caller: Caller;
    readonly schema: z.ZodType<T>;
    readonly maxBytes: number;
  },
): Promise<T> {
  const body = await readBody(request, { maxBytes, caller });
  access.credentials.requireValid(caller.authority); // it may have ended while the body arrived
  const { data, error } = schema.safeParse(body.length === 0 ? {} : parseJson(decodeUtf8(body)));
  if (error === undefined) return data;
  const [issue] = error.issues;
  const where = issue?.path.length ? `${issue.path.join(".")}: ` : "";
  throw new Problem("bad_body", `Cannot read the body: ${where}${issue?.message}.`);
}
