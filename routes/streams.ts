import type { Context } from "hono";
import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { parseQuery, splitUrl } from "./query.ts";

const STREAM_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * `POST /v1/streams/{id}/token`: an open stream goes on with the credential of this request. 204:
 * it does now; 202: it was passed on to the isolates, of which one may have the stream.
 */
export async function postStreamToken(
  c: Context,
  { access }: Server,
  caller: Caller,
): Promise<Response> {
  parseQuery(splitUrl(c.req.raw.url).searchParams, z.object({}));
  const id = c.req.param("id") ?? "";
  if (!STREAM_ID.test(id)) {
    throw new Problem("bad_parameter", "A stream's id is what its header Weir-Stream says.");
  }
  // Nobody's rights would be forced on a stream whose token has no subject.
  if (caller.authority.grant.kind === "anonymous") {
    throw new Problem("unauthenticated", "Send the new token as Authorization: Bearer.");
  }
  access.limiter.subscribe(caller, 1);
  return c.body(null, await access.swaps.swap(id, caller.authority) ? 204 : 202);
}
