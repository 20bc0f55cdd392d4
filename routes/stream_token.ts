import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import type { AppContext } from "./context.ts";
import { parseQuery, splitUrl } from "./query.ts";

const STREAM_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * `POST /v1/streams/{id}/token`: gives an open stream the credential of this request. Answers 204 if
 * this isolate has the stream, and 202 if it notified the other isolates.
 */
export async function postStreamToken(
  c: AppContext,
  { access }: Pick<Server, "access">,
  caller: Caller,
): Promise<Response> {
  parseQuery(splitUrl(c.req.raw.url).searchParams, z.object({}));
  const id = c.req.param("id") ?? "";
  if (!STREAM_ID.test(id)) {
    throw new Problem(
      "bad_parameter",
      "The stream id is invalid: use the value of the stream's Weir-Stream header.",
    );
  }
  // Otherwise anyone could reduce a stream whose token has no subject to anonymous rights.
  if (caller.authority.grant.kind === "anonymous") {
    throw new Problem("unauthenticated", "Send the new token in Authorization: Bearer.");
  }
  access.limiter.subscribe(caller, 1);
  return c.body(null, await access.swaps.swap(id, caller.authority) ? 204 : 202);
}
