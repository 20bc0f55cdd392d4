import type { Caller } from "../lib/auth/caller.ts";
import { Problem } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { CREDENTIAL, QUERY, STORE_WRITE } from "./api_description/problem_groups.ts";
import { described, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { noQuery, parseQuery, splitUrl } from "./query.ts";

const STREAM_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const postStreamTokenDescription: RouteDescription = {
  id: "replaceStreamCredential",
  tag: "Credentials",
  summary: "Give an open stream a new credential",
  text: "The new credential must have the same tenant and the same `sub`.",
  needsCredential: true,
  path: {
    id: {
      text: "The stream's id, from its header `Weir-Stream` or its event `weir.token`.",
      schema: { type: "string", pattern: STREAM_ID.source },
      example: "7f0c2f1e-5a3b-4a54-9d0e-6a4f6d1a8b11",
    },
  },
  query: described(noQuery, {}),
  answers: {
    202: { text: "The stream is not in this isolate, or has ended. The others are notified." },
    204: { text: "The stream has the credential." },
  },
  problems: [...CREDENTIAL, ...QUERY, ...STORE_WRITE, "forbidden"],
};

/**
 * `POST /v1/streams/{id}/token`: gives an open stream the credential of this request. Answers 204 if
 * this isolate has the stream, and 202 if it notified the other isolates.
 */
export async function postStreamToken(
  c: AppContext,
  { access }: Pick<Server, "access">,
  caller: Caller,
): Promise<Response> {
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
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
