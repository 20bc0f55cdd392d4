import type { Caller } from "../lib/auth/caller.ts";
import type { Server } from "../lib/server.ts";
import { CREDENTIAL, QUERY } from "./api_description/problem_groups.ts";
import { described, type RouteDescription } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { noQuery, parseQuery, splitUrl } from "./query.ts";

export const postIceDescription: RouteDescription = {
  id: "issueIceServers",
  tag: "Presence",
  summary: "Get STUN and TURN servers for WebRTC",
  text: "Needs the right `presence` on at least one channel.",
  needsCredential: true,
  query: described(noQuery, {}),
  answers: {
    200: { text: "The servers, with a credential that expires.", json: "IceServers" },
  },
  problems: [...CREDENTIAL, ...QUERY, "forbidden"],
};

/** `POST /v1/ice`: the STUN and TURN servers of this Weir, with a credential that expires. */
export async function postIce(
  c: AppContext,
  { access, config, ice }: Pick<Server, "access" | "config" | "ice">,
  caller: Caller,
): Promise<Response> {
  parseQuery(splitUrl(c.req.raw.url).searchParams, noQuery);
  access.limiter.subscribe(caller, 1);
  const { iceServers, expiresIn } = await ice.issue(caller.authority);
  if (!access.isOpen && config.ice.turn !== undefined) {
    void access.audit.recordBy(caller, "turn.issued", { expiresIn });
  }
  return c.json({ iceServers, expiresIn }, 200, { "Cache-Control": "no-store" });
}
