import { z } from "zod";
import type { Caller } from "../lib/auth/caller.ts";
import { resolveMemberName } from "../lib/presence/member.ts";
import type { MemberSession } from "../lib/presence/named_session.ts";
import {
  type ChannelKey,
  channelOf,
  SESSION_NAME,
  SESSION_NAME_FORMAT,
} from "../lib/shared/channel.ts";
import { Problem, quote } from "../lib/shared/problem.ts";
import type { Server } from "../lib/server.ts";
import { requireRight } from "./access.ts";
import { SESSION } from "./api_description/names.ts";
import { described } from "./api_description/route_description.ts";
import type { AppContext } from "./context.ts";
import { parsePathChannel, parseQuery, splitUrl } from "./query.ts";

/** The name of a session, in a query or a body. */
export const sessionName = z.string().regex(SESSION_NAME, SESSION_NAME_FORMAT);

const sessionQuery = z.object({ session: sessionName.optional() });
/** The query of requests about a session, which {@link parseSession} requires. */
export const describedSession = described(
  sessionQuery.required(),
  { session: SESSION },
);

/** Returns the session that the request names. @throws {Problem} if the caller may not use it */
export function parseSession(
  c: AppContext,
  server: Pick<Server, "access">,
  caller: Caller,
): MemberSession {
  const { path, searchParams } = splitUrl(c.req.raw.url);
  const { session } = parseQuery(searchParams, sessionQuery);
  if (session === undefined) {
    throw new Problem(
      "bad_parameter",
      `The parameter "session" is required: ${SESSION_NAME_FORMAT}.`,
    );
  }
  const channelKey = parsePresenceChannel(server, caller, path);
  const name = resolveMemberName(caller.authority, parsePathMember(path));
  return { member: { channelKey, name }, sessionName: session };
}

/** Returns the channel of the path. @throws {Problem} if the caller has no right to its presence */
export function parsePresenceChannel(
  { access }: Pick<Server, "access">,
  caller: Caller,
  path: string,
): ChannelKey {
  const channelKey = parsePathChannel(caller.authority.tenant, path);
  requireRight(access, caller, { action: "presence", channel: channelOf(channelKey) });
  return channelKey;
}

/** Returns the member's name from the path. @throws {Problem} `bad_member` */
function parsePathMember(path: string): string {
  const encoded = path.split("/")[5] ?? "";
  try {
    return decodeURIComponent(encoded);
  } catch (cause) {
    const detail = `Cannot read ${quote(encoded)}: it is not percent-encoded UTF-8.`;
    throw new Problem("bad_member", detail, { cause });
  }
}
